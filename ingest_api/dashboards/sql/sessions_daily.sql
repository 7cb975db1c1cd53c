-- The asked period, one row per day that has sessions.
SELECT
    session_date,
    count() AS session_count,
    uniqExact(visitor_id) AS visitor_count
FROM {marts:Identifier}.sessions
WHERE session_date BETWEEN {start:Date} AND {end:Date}
GROUP BY session_date
ORDER BY session_date
