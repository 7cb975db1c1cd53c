-- One row per period.
SELECT
    session_date >= {start:Date} AS is_current,
    count() AS session_count,
    uniqExact(visitor_id) AS visitor_count,
    countIf(is_bounce) AS bounce_count,
    countIf(order_count > 0) AS session_with_order_count,
    sum(page_view_count) AS page_view_count,
    avg(duration_seconds) AS average_duration_seconds,
    quantileExactInclusive(0.5)(duration_seconds) AS median_duration_seconds
FROM {marts:Identifier}.sessions
WHERE session_date BETWEEN {previous_start:Date} AND {end:Date}
GROUP BY is_current
