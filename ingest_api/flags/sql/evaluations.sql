-- What each flag has answered since, and how often. A row may be stored twice.
SELECT
    flag_key,
    sum(evaluation_count) AS evaluation_count,
    uniqExact(answer) AS answer_count,
    any(answer) AS answer,
    max(last_at) AS last_at
FROM
(
    SELECT
        count_id,
        any(flag_key) AS flag_key,
        any(evaluation_count) AS evaluation_count,
        any(answer) AS answer,
        any(last_at) AS last_at
    FROM {raw:Identifier}.flag_evaluations
    WHERE inserted_at >= fromUnixTimestamp64Milli({since_ms:Int64})
    GROUP BY count_id
)
WHERE last_at >= fromUnixTimestamp64Milli({since_ms:Int64})
GROUP BY flag_key
