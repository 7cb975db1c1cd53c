"""Who came back, in the references and in the marts."""

from collections.abc import Iterator, Mapping
from typing import Any

from command_line.verification.figures import Figure, Series
from command_line.verification.marts import Marts

_ACTIVE = """
SELECT {}, sum(retained_visitor_count) FROM {{marts:Identifier}}.retention WHERE granularity = '{}' GROUP BY 1
"""
_COHORTS = """
SELECT concat({}, ' +', toString(period_number)), retained_visitor_count
FROM {{marts:Identifier}}.retention WHERE granularity = '{}'
"""
_ROLLING = """
SELECT arrayJoin(arrayMap(offset -> activity_date + offset, range({}))) AS day, uniqExact(visitor_id)
FROM {{marts:Identifier}}.user_days
WHERE day <= (SELECT max(activity_date) FROM {{marts:Identifier}}.user_days)
GROUP BY day
"""
_DAY_N = """
SELECT toInt64(sum(cohort_size)) AS eligible_users, toInt64(sum(retained_visitor_count)) AS retained
FROM {marts:Identifier}.retention WHERE granularity = 'day' AND period_number = {period:UInt16}
"""
_PERIODS = {"week": ("weekly", "toString({})"), "month": ("monthly", "formatDateTime({}, '%Y-%m')")}


def retention_figures(marts: Marts, results: Mapping[str, Any]) -> Iterator[Figure | Series]:
    """Compare active users of whole periods, cohorts, and retention after so many days."""
    for granularity, (adverb, text) in _PERIODS.items():
        active = marts.series(_ACTIVE.format(text.format("period_date"), granularity))
        yield Series(f"{adverb} active users", results[f"{adverb}_active_users"], active)
        if cohorts := results.get(f"{adverb}_cohorts"):
            expected = {
                f"{cohort[f'cohort_{granularity}']} +{period}": active
                for cohort in cohorts
                for period, active in enumerate(cohort["active"])
            }
            found = marts.series(_COHORTS.format(text.format("cohort_date"), granularity))
            yield Series(f"{adverb} cohorts", expected, found)
    if rolling := results.get("rolling_28d_active_users"):
        yield Series("active users, rolling 28 days", rolling, marts.series(_ROLLING.format(28)))
    for name, answers in results.get("day_n_retention", {}).items():
        expected, found = answers["calendar"], marts.row(_DAY_N, period=int(name.removeprefix("day_")))
        for figure in ("eligible_users", "retained"):
            yield Figure(f"retention, {name}: {figure}", expected[figure], found[figure])
