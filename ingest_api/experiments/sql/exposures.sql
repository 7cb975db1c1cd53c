-- Who came to each variant until a day; the unknown variant is ''.
SELECT
    variant_id,
    sum(new_users) AS users,
    sum(expected_users) AS users_expected,
    sum(unexpected_users) AS users_unexpected,
    sum(multiple_exposure_users) AS users_of_several,
    sum(unknown_variant_users) AS users_of_unknown
FROM {marts:Identifier}.experiment_exposures_daily
WHERE experiment_id = {experiment_id:String} AND exposure_date <= {as_of:Date}
GROUP BY variant_id
ORDER BY variant_id
