-- Until when received data is in each model; one row per built model. A rebuild resets its model to 1970 while it runs.
SELECT
    model,
    argMax(high_watermark, committed_at) AS as_of
FROM {ops:Identifier}.watermarks
WHERE model IN {models:Array(String)}
GROUP BY model
HAVING as_of > toDateTime64(0, 3, 'UTC')
