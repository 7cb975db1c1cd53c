"""Two experiments with real users, in the references and in the results.

What the references have and we do not: intervals and p-values by the normal distribution where ours are by Student's t
(compared to three digits where that is all the difference), by the pooled z where the counts are large, Mann-Whitney,
Fisher, Beta-Binomial, the interval of the lift by the delta method (ours is Fieller's), quantiles.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from command_line.verification.figures import Figure
from command_line.verification.marts import Marts

Results = Mapping[str, Any]

_EXACT, _NORMAL, _BESSEL = 1e-9, 1e-3, 2e-5
"""As good as the references; t against the normal distribution; variances with n against n - 1 of 38,000 users."""
_WINSORIZED = 493
"""The percentile of the reference is of all values, ours of those other than 0: it goes in as a fixed cap."""

COOKIE_CATS: Mapping[str, Any] = {
    "id": "cookie-cats",
    "name": "Cookie Cats",
    "status": "running",
    "variants": [
        {"id": "gate_30", "name": "Gate at level 30", "allocation": 50, "isControl": True},
        {"id": "gate_40", "name": "Gate at level 40", "allocation": 50},
    ],
    "metrics": [
        *(
            {"id": f"retention_{day}", "name": f"Back on day {day}", "type": "conversion", "aggregation": "rate"}
            | {"eventName": f"retained_day_{day}", "isPrimary": day == 7, "covariateDays": 0}
            for day in (1, 7)
        ),
        *(
            {"id": name, "name": name, "type": "count", "aggregation": "mean", "eventName": "game_rounds"}
            | {"property": "rounds", "covariateDays": 0, **more}
            for name, more in (
                ("sum_gamerounds", {}),
                # A guardrail, so that it stands outside the family as in the reference.
                (
                    "sum_gamerounds_winsorized_p99",
                    {
                        "cap": {"type": "absolute", "value": _WINSORIZED},
                        "role": "guardrail",
                        "nonInferiorityMargin": 1,
                    },
                ),
            )
        ),
    ],
    "createdBy": "verify",
}
SOCIAL_PRESSURE: Mapping[str, Any] = {
    "id": "social-pressure",
    "name": "Social pressure",
    "status": "running",
    "variants": [
        {"id": key, "name": key, "allocation": share, "isControl": key == "control"}
        for key, share in (("control", 5), ("civic_duty", 1), ("hawthorne", 1), ("neighbors", 1))
    ],
    "metrics": [
        {"id": name, "name": name, "type": "conversion", "aggregation": "rate", "eventName": "voted"}
        | {"isPrimary": days == 0, "covariateDays": days}
        for name, days in (("primary2006", 0), ("cuped_primary2004", 30))
    ],
    "correction": "none",
    "createdBy": "verify",
}


def cookie_cats_figures(marts: Marts, results: Results) -> Iterator[Figure]:
    """Compare retention and rounds of the two gates."""
    rows = marts.latest_results()
    yield from _split(rows["retention_1", "gate_40"], results["srm"])
    for metric in ("retention_1", "retention_7"):
        yield from _rates(metric, rows[metric, "gate_40"], results[metric])
        yield Figure(f"{metric}: p", results[metric]["p_value_unpooled_z"], rows[metric, "gate_40"]["p_value"], _NORMAL)
    for metric in ("sum_gamerounds", "sum_gamerounds_winsorized_p99"):
        yield from _means(metric, rows[metric, "gate_40"], results[metric])
    holm = results["multiple_comparisons"]["holm"]["sum_gamerounds"]
    yield Figure("sum_gamerounds: p, Holm", holm, rows["sum_gamerounds", "gate_40"]["p_value_adjusted"], 1e-6)


def social_pressure_figures(marts: Marts, results: Results) -> Iterator[Figure]:
    """Compare turnout under three letters with none, as it is and adjusted by the turnout before."""
    rows = marts.latest_results()
    yield from _split(rows["primary2006", "neighbors"], results["srm"])
    for letter, expected in results["comparisons"].items():
        variant = letter.lower().replace(" ", "_")
        yield from _rates(f"{letter}: turnout", rows["primary2006", variant], expected["primary2006"])
        yield from _adjusted(f"{letter}: adjusted", rows["cuped_primary2004", variant], expected["cuped_primary2004"])
        before = rows["cuped_primary2004", variant]["covariate_sum"]
        voted = expected["pre_experiment_primary2004"]["treatment"]["conversions"]
        yield Figure(f"{letter}: voted before", voted, int(before))


def _split(row: Results, expected: Results) -> Iterator[Figure]:
    yield Figure("sample ratio: p", expected["p_value"], row["srm_p_value"], _EXACT)


def _arms(name: str, row: Results, expected: Results, total: str) -> Iterator[Figure]:
    yield Figure(f"{name}: control users", expected["control"]["n"], row["control_users"])
    yield Figure(f"{name}: users", expected["treatment"]["n"], row["users"])
    yield Figure(f"{name}: sum", expected["treatment"][total], row["sum"])
    yield Figure(f"{name}: difference", expected["absolute_difference"], row["absolute_difference"], _EXACT)
    yield Figure(f"{name}: lift", expected["relative_lift"], row["relative_lift"], _EXACT)
    yield Figure(f"{name}: error of the lift", expected["se_relative_delta"], row["relative_std_error"], _EXACT)


def _rates(name: str, row: Results, expected: Results) -> Iterator[Figure]:
    yield from _arms(name, row, expected, "conversions")
    yield Figure(f"{name}: error", expected["se_unpooled"], row["absolute_std_error"], _EXACT)
    yield Figure(f"{name}: statistic", expected["z_unpooled"], row["test_statistic"], _EXACT)
    lower, upper = expected["ci95_wald"]
    width = row["absolute_ci_upper"] - row["absolute_ci_lower"]
    yield Figure(f"{name}: width of the interval", upper - lower, width, _NORMAL)


def _means(name: str, row: Results, expected: Results) -> Iterator[Figure]:
    yield from _arms(name, row, expected, "sum")
    yield Figure(f"{name}: deviation", expected["treatment"]["sd"], row["std_dev"], _EXACT)
    yield Figure(f"{name}: control deviation", expected["control"]["sd"], row["control_std_dev"], _EXACT)
    yield from _welch(name, row, expected, _EXACT)


def _welch(name: str, row: Results, expected: Results, tolerance: float) -> Iterator[Figure]:
    yield Figure(f"{name}: error", expected["se"], row["absolute_std_error"], tolerance)
    yield Figure(f"{name}: statistic", expected["t"], row["test_statistic"], tolerance)
    for end, limit in zip(("lower", "upper"), expected["ci95_welch"], strict=True):
        yield Figure(f"{name}: {end} end", limit, row[f"absolute_ci_{end}"], tolerance)
    # A tiny one takes the error of the statistic by the square of it.
    p_tolerance = max(1e-6, tolerance * expected["t"] ** 2)
    yield Figure(f"{name}: p", expected["p_value_welch"], row["p_value"], p_tolerance)
    yield Figure(f"{name}: degrees of freedom", expected["df"], row["degrees_of_freedom"], tolerance)


def _adjusted(name: str, row: Results, expected: Results) -> Iterator[Figure]:
    yield Figure(f"{name}: slope", expected["theta"], row["cuped_theta"], _EXACT)
    yield Figure(f"{name}: difference", expected["absolute_difference"], row["absolute_difference"], _EXACT)
    kept = expected["variance_ratio_of_difference"]
    yield Figure(f"{name}: variance kept", kept, 1 - row["variance_reduction"], _BESSEL)
    yield from _welch(name, row, expected, _BESSEL)
