-- The most frequent events of the asked period.
SELECT
    event_name,
    sumIf(events_daily.event_count, event_date >= {start:Date}) AS event_count,
    sumIf(events_daily.event_count, event_date < {start:Date}) AS previous_event_count
FROM {marts:Identifier}.events_daily AS events_daily
WHERE event_date BETWEEN {previous_start:Date} AND {end:Date}
GROUP BY event_name
HAVING event_count > 0
ORDER BY event_count DESC, event_name
LIMIT 10
