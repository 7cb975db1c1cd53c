-- Both periods, one row per day, metric and currency; an empty category asks for all.
SELECT
    kpi_date,
    metric,
    currency,
    category,
    unit,
    value,
    numerator,
    denominator
FROM {marts:Identifier}.kpis_daily
WHERE
    kpi_date BETWEEN {previous_start:Date} AND {end:Date}
    AND ({category:String} = '' OR category = {category:String})
ORDER BY category, metric, currency, kpi_date
