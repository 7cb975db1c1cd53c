-- Visitors of a day.
SELECT sum(value) AS users
FROM {marts:Identifier}.kpis_daily
WHERE metric = 'daily_active_users' AND dimension = '' AND kpi_date = {day:Date}
