-- Figures of whole days in both periods, one row per day, metric and currency; an empty category asks for all.
SELECT
    kpis.kpi_date AS kpi_date,
    kpis.metric AS metric,
    kpis.currency AS currency,
    kpis.category AS category,
    kpis.unit AS unit,
    kpis.value AS value,
    kpis.numerator AS numerator,
    kpis.denominator AS denominator,
    catalog.name AS name,
    catalog.formula AS formula,
    catalog.aggregation AS aggregation,
    catalog.good_direction AS good_direction,
    if(catalog.target_currency = kpis.currency, catalog.target, NULL) AS target,
    catalog.owner AS owner
FROM {marts:Identifier}.kpis_daily AS kpis
LEFT JOIN {marts:Identifier}.metric_catalog AS catalog ON catalog.metric = kpis.metric
WHERE
    kpis.kpi_date BETWEEN {previous_start:Date} AND {end:Date}
    AND kpis.dimension = ''
    AND ({category:String} = '' OR kpis.category = {category:String})
ORDER BY category, metric, currency, kpi_date
SETTINGS join_use_nulls = 0
