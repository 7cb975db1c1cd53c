"""Moments and comparisons for tests, from single users or from sums, and what comes out of them."""

from dataclasses import fields
from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

from experiment_stats.analysis import analyse
from experiment_stats.comparisons import Comparisons, MetricType
from experiment_stats.estimates import Estimates
from experiment_stats.moments import Moments

Row = dict[str, Any]


def moments(
    values: npt.ArrayLike, denominator: npt.ArrayLike | None = None, covariate: npt.ArrayLike | None = None
) -> Moments:
    """Sums over users, as the marts make them."""
    y = np.asarray(values, dtype=float)
    sums = {"main_sum_squares": y @ y}
    if denominator is not None:
        d = np.asarray(denominator, dtype=float)
        sums |= {"denominator_sum": d.sum(), "denominator_sum_squares": d @ d, "main_denominator_sum_product": y @ d}
    if covariate is not None:
        x = np.asarray(covariate, dtype=float)
        sums |= {"covariate_sum": x.sum(), "covariate_sum_squares": x @ x, "main_covariate_sum_product": y @ x}
    return Moments.of(len(y), y.sum(), **sums)


def converted(conversions: float, users: float) -> Moments:
    return Moments.of(users, conversions)


def summed(users: float, mean: float, variance: float) -> Moments:
    """An arm with this sample mean and variance."""
    return Moments.of(users, users * mean, main_sum_squares=variance * (users - 1) + users * mean * mean)


def row(metric_type: MetricType, treatment: Moments, control: Moments, **settings: Any) -> Row:
    """The estimates of a single comparison, by column."""
    estimates = analyse(Comparisons.of(metric_type, treatment, control, **settings))
    return {name: values[0] for name, values in estimates.columns().items()}


def numbers(one: Row) -> dict[str, float]:
    """Its numbers that are inference: not what was asked and only repeated."""
    repeated = {"alpha", "sequential_tuning_parameter", "prior_mean", "prior_std_dev", "non_inferiority_margin"}
    return {name: value for name, value in one.items() if isinstance(value, float) and name not in repeated}


def joined(*parts: Moments) -> Moments:
    return Moments(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Moments)))


def is_same(first: Estimates, second: Estimates) -> bool:
    """Equal to the last bit, NaN and the sign of zero included."""
    for name, values in first.columns().items():
        others = second.columns()[name]
        if values.dtype == np.float64:
            if values.tobytes() != others.tobytes():
                return False
        elif values.tolist() != others.tolist():
            return False
    return True


@st.composite
def any_comparisons(draw: st.DrawFn, largest: int = 12) -> Comparisons:
    """Comparisons as they come, and as they should not: sums that cannot be, absent ones, huge and tiny ones."""
    length = draw(st.integers(1, largest))

    def column(values: st.SearchStrategy[float]) -> npt.NDArray[np.float64]:
        return np.array(draw(st.lists(values, min_size=length, max_size=length)), dtype=float)

    counts = st.sampled_from([0.0, 1, 2, 3, 12, 150, 151, 1000, 1e6, 2.0**53, 2.0**60, -1, 2.5, np.nan, np.inf])
    usual = st.floats(-1000, 1000, width=32)
    sums = st.one_of(usual, usual, st.sampled_from([0.0, 0.0, 1, 5, 20, 1e-200, 1e150, -1e300, np.nan, np.inf]))

    def arm() -> Moments:
        users, mean = column(counts), column(sums)
        spread, covariate_mean = np.abs(column(sums)), column(usual)
        with np.errstate(all="ignore"):
            return Moments(
                users=users,
                main_sum=np.where(column(st.sampled_from([0.0, 1])) > 0, users * mean, np.abs(np.round(mean))),
                main_sum_squares=users * mean * mean + (users - 1) * spread,
                denominator_sum=users * covariate_mean,
                denominator_sum_squares=users * covariate_mean**2 + (users - 1) * np.abs(column(usual)),
                main_denominator_sum_product=users * mean * covariate_mean,
                covariate_sum=users * covariate_mean,
                covariate_sum_squares=users * covariate_mean**2 + (users - 1) * np.abs(column(sums)),
                main_covariate_sum_product=users * mean * covariate_mean + column(usual),
            )

    def codes(last: int) -> npt.NDArray[np.int64]:
        return column(st.integers(0, last)).astype(np.int64)

    return Comparisons.of(
        codes(2),
        arm(),
        arm(),
        is_increase_good=codes(1) > 0,
        alpha=column(st.sampled_from([0.05, 0.05, 0.01, 0.2, 1e-12, 0.0, 1.0, np.nan])),
        tuning_users=column(st.sampled_from([np.nan, 100, 1e6, 0, -1])),
        prior_std_dev=column(st.sampled_from([np.nan, 0.3, np.inf, 1e-200, 0])),
        posterior_scale=codes(1),
        non_inferiority_margin=column(st.sampled_from([np.nan, 0.1, 1e9, -1])),
        is_guardrail=codes(1) > 0,
        family=codes(2),
        correction=codes(2),
        series=codes(3),
        as_of=codes(3),
        relative_method=codes(1),
        daily_users=column(st.sampled_from([np.nan, 0, 100])),
    )
