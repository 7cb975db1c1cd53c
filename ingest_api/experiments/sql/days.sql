-- The last days of which there are results of all users, the newest first, and when each was computed.
SELECT
    as_of_date,
    max(computed_at) AS computed_at
FROM {marts:Identifier}.experiment_results
WHERE experiment_id = {experiment_id:String} AND dimension = '' AND as_of_date <= {as_of:Date}
GROUP BY as_of_date
ORDER BY as_of_date DESC
LIMIT 31
