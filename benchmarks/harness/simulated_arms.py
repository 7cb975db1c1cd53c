"""Arms of simulated experiments, one element a replicate; single users are drawn only where their sums cannot be."""

from collections.abc import Callable
from dataclasses import fields

import numpy as np

from experiment_stats.moments import Moments

Arm = Callable[[np.random.Generator, int], Moments]
"""Makes this many replicates of an arm."""
_USERS_AT_ONCE = 4_000_000


def proportion(users: int, rate: float) -> Arm:
    """Users who convert with this probability."""
    return lambda random, count: Moments.of(np.full(count, float(users)), random.binomial(users, rate, count))


def normal(users: int, mean: float, std_dev: float) -> Arm:
    """Normal values, from the distributions of their mean and variance."""

    def draw(random: np.random.Generator, count: int) -> Moments:
        means = random.normal(mean, std_dev / np.sqrt(users), count)
        squares = std_dev**2 * random.chisquare(users - 1, count) + users * means**2
        return Moments.of(np.full(count, float(users)), users * means, main_sum_squares=squares)

    return draw


def with_past(users: int, mean: float, correlation: float) -> Arm:
    """Normal values of deviation 1 and their covariate, from the distribution of their covariance (Bartlett 1933)."""

    def draw(random: np.random.Generator, count: int) -> Moments:
        rest = np.sqrt(1 - correlation**2)
        past = random.chisquare(users - 1, count)
        cross = correlation * past + rest * np.sqrt(past) * random.normal(size=count)
        own = cross**2 / past + rest**2 * random.chisquare(users - 2, count)
        of_past = random.normal(0, 1 / np.sqrt(users), count)
        of_own = mean + correlation * of_past + rest * random.normal(0, 1 / np.sqrt(users), count)
        x, y = 5 + of_past, of_own
        return Moments.of(
            np.full(count, float(users)),
            users * y,
            main_sum_squares=own + users * y**2,
            covariate_sum=users * x,
            covariate_sum_squares=past + users * x**2,
            main_covariate_sum_product=cross + users * x * y,
        )

    return draw


def revenue(users: int, payers: float, mean: float) -> Arm:
    """Nothing of most users, an exponential amount of the others."""

    def values(random: np.random.Generator, shape: tuple[int, int]) -> tuple[np.ndarray, None]:
        return (random.random(shape) < payers) * random.exponential(mean, shape), None

    return _of_users(users, values)


def counts(users: int, mean: float) -> Arm:
    """Events of users who differ in how active they are: negative binomial with a dispersion of 1."""
    return _of_users(users, lambda random, shape: (random.negative_binomial(1, 1 / (1 + mean), shape) * 1.0, None))


def ratio(users: int, share: float) -> Arm:
    """Orders of sessions, where who has more sessions orders in more of them."""

    def values(random: np.random.Generator, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        sessions = 1 + random.poisson(2, shape)
        return random.binomial(sessions, share * (0.5 + sessions / 6)) * 1.0, sessions * 1.0

    return _of_users(users, values)


def by_day(arm: Arm, days: int) -> Arm:
    """Replicates times days: each day brings the users of one arm, and its moments are of all days so far."""

    def draw(random: np.random.Generator, count: int) -> Moments:
        daily = arm(random, count * days)
        sums = (getattr(daily, field.name).reshape(count, days) for field in fields(Moments))
        return Moments(*(one.cumsum(axis=1).ravel() for one in sums))

    return draw


def _of_users(
    users: int, values: Callable[[np.random.Generator, tuple[int, int]], tuple[np.ndarray, np.ndarray | None]]
) -> Arm:
    def draw(random: np.random.Generator, count: int) -> Moments:
        step = max(_USERS_AT_ONCE // users, 1)
        return _joined([_summed(*values(random, (min(step, count - begin), users))) for begin in range(0, count, step)])

    return draw


def _summed(main: np.ndarray, denominator: np.ndarray | None) -> Moments:
    count, users = main.shape
    sums = {"main_sum_squares": np.einsum("ij,ij->i", main, main)}
    if denominator is not None:
        sums["denominator_sum"] = denominator.sum(axis=1)
        sums["denominator_sum_squares"] = np.einsum("ij,ij->i", denominator, denominator)
        sums["main_denominator_sum_product"] = np.einsum("ij,ij->i", main, denominator)
    return Moments.of(np.full(count, float(users)), main.sum(axis=1), **sums)


def _joined(parts: list[Moments]) -> Moments:
    return Moments(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Moments)))
