"""Moments and comparisons for tests, from single users or from sums, and what comes out of them."""

from dataclasses import fields
from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

from experiment_stats.analysis import analyse
from experiment_stats.comparisons import Comparisons, MetricType
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


ODD = [0.0, 1, 2, 3, 2.0**53, 2.0**60, -1, 2.5, 1e-200, 1e150, -1e300, np.nan, np.inf]


def drawn(length: int, seed: int) -> Comparisons:
    """Comparisons as they come, every fourth as it should not: with sums that cannot be, absent, huge or tiny."""
    random = np.random.default_rng(seed)
    kinds = random.integers(0, 3, length)

    def spoilt(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.where(random.random(length) < 0.03, random.choice(ODD, length), values)

    def arm() -> Moments:
        users = random.choice([2, 12, 150, 1000, 40_000, 10**6], length).astype(float)
        share = random.choice([0, 0.001, 0.02, 0.3, 1], length, p=[0.1, 0.2, 0.2, 0.4, 0.1])
        mean = random.choice([0, 0.5, 3, -40, 1e5], length) + random.normal(0, 0.1, length)
        variance = random.choice([0, 1e-3, 1, 900], length, p=[0.1, 0.2, 0.4, 0.3])
        correlation = random.uniform(-1, 1, length)
        y, x = users * mean, users * 2.0
        squares, of_covariate = users * mean**2 + (users - 1) * variance, users * 4.0 + (users - 1) * 0.25
        product = users * mean * 2.0 + (users - 1) * correlation * np.sqrt(variance * 0.25)
        has_covariate = random.random(length) < 0.7
        return Moments(
            users=spoilt(users),
            main_sum=spoilt(np.where(kinds == MetricType.PROPORTION, random.binomial(users.astype(int), share), y)),
            main_sum_squares=spoilt(squares),
            denominator_sum=spoilt(x),
            denominator_sum_squares=spoilt(of_covariate),
            main_denominator_sum_product=spoilt(product),
            covariate_sum=np.where(has_covariate, spoilt(x), np.nan),
            covariate_sum_squares=np.where(has_covariate, spoilt(of_covariate), np.nan),
            main_covariate_sum_product=np.where(has_covariate, spoilt(product), np.nan),
        )

    def any_of(*values: float) -> npt.NDArray[np.float64]:
        return random.choice(values, length)

    return Comparisons.of(
        kinds,
        arm(),
        arm(),
        is_increase_good=any_of(0, 1) > 0,
        alpha=spoilt(any_of(0.05, 0.05, 0.01, 0.2, 1e-12)),
        tuning_users=spoilt(any_of(np.nan, 100, 1e6)),
        prior_std_dev=spoilt(any_of(np.nan, 0.3, np.inf, 1e-200)),
        posterior_scale=random.integers(0, 2, length),
        non_inferiority_margin=spoilt(any_of(np.nan, 0.1, 1e9)),
        is_guardrail=any_of(0, 0, 1) > 0,
        family=random.integers(0, 3, length),
        correction=random.integers(0, 3, length),
        series=random.integers(0, 4, length),
        as_of=random.integers(0, 4, length),
        relative_method=random.integers(0, 2, length),
        daily_users=any_of(np.nan, 0, 100),
    )


def any_comparisons(largest: int = 40) -> st.SearchStrategy[Comparisons]:
    """Hypothesis draws the size and the seed: drawing every sum by itself takes a hundred times as long."""
    return st.builds(drawn, st.integers(1, largest), st.integers(0, 2**32 - 1))
