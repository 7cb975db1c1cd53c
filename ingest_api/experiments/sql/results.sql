-- Results by metric and variant, of all users and by the values of one attribute.
SELECT *
FROM {marts:Identifier}.experiment_results
WHERE experiment_id = {experiment_id:String}
    AND dimension IN ('', {dimension:String})
    AND as_of_date BETWEEN {start:Date} AND {end:Date}
    AND ({metric_id:String} = '' OR metric_id = {metric_id:String})
ORDER BY as_of_date, dimension, dimension_value, metric_id, variant_id
LIMIT {limit:UInt32}
