-- Users who were first exposed to an experiment on a day.
SELECT sum(new_users) AS users
FROM {marts:Identifier}.experiment_exposures_daily
WHERE experiment_id = {experiment_id:String} AND exposure_date = {day:Date}
