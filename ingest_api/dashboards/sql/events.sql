-- One row per period.
SELECT
    event_date >= {start:Date} AS is_current,
    sum(events_daily.event_count) AS event_count,
    sumIf(events_daily.event_count, event_type = 'page_view') AS page_view_count
FROM {marts:Identifier}.events_daily AS events_daily
WHERE event_date BETWEEN {previous_start:Date} AND {end:Date}
GROUP BY is_current
