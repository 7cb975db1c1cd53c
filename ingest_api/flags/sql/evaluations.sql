-- What each flag has answered since, and how often. A row may be stored twice.
WITH counts AS
(
    SELECT
        count_id,
        any(flag_key) AS flag,
        any(evaluation_count) AS times,
        any(answer) AS value,
        any(last_at) AS given_at
    FROM {raw:Identifier}.flag_evaluations
    WHERE inserted_at >= fromUnixTimestamp64Milli({since_ms:Int64})
    GROUP BY count_id
)
SELECT
    flag AS flag_key,
    sum(times) AS evaluation_count,
    uniqExact(value) AS answer_count,
    any(value) AS answer,
    max(given_at) AS last_at
FROM counts
WHERE given_at >= fromUnixTimestamp64Milli({since_ms:Int64})
GROUP BY flag
