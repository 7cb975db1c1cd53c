-- Visitors by the day they entered a funnel, added over each period; one row per funnel and step.
SELECT
    funnel_name,
    step_number,
    argMax(funnels.step_name, entry_date) AS step_name,
    sumIf(funnels.visitor_count, entry_date >= {start:Date}) AS visitor_count,
    sumIf(funnels.visitor_count, entry_date < {start:Date}) AS previous_visitor_count
FROM {marts:Identifier}.funnels AS funnels
WHERE entry_date BETWEEN {previous_start:Date} AND {end:Date}
GROUP BY funnel_name, step_number
ORDER BY funnel_name, step_number
