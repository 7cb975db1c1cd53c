"""The formulas that GrowthBook publishes for its engine, written for one comparison with Python's own arithmetic.

Sources: the details of its statistics engine (equations 1 to 12) and the classes of gbstats. Independent of
`experiment_stats`: arms are (users, mean, variance of one user) and nothing is shared but the numbers.
"""

import math
from dataclasses import dataclass

from scipy.stats import norm, t, truncnorm


@dataclass(frozen=True, slots=True)
class Arm:
    users: float
    mean: float
    variance: float


def welch(control: Arm, treatment: Arm, alpha: float) -> tuple[float, float, tuple[float, float]]:
    """p-value, degrees of freedom and interval of the difference."""
    a, b = control.variance / control.users, treatment.variance / treatment.users
    difference, error = treatment.mean - control.mean, math.sqrt(a + b)
    degrees = (a + b) ** 2 / (a**2 / (control.users - 1) + b**2 / (treatment.users - 1))
    reach = t.ppf(1 - alpha / 2, degrees) * error
    return 2 * t.sf(abs(difference / error), degrees), degrees, (difference - reach, difference + reach)


def relative_effect(control: Arm, treatment: Arm) -> tuple[float, float]:
    """Lift and its standard error by the delta method."""
    variance = treatment.variance / (treatment.users * control.mean**2)
    variance += control.variance * treatment.mean**2 / (control.users * control.mean**4)
    return (treatment.mean - control.mean) / abs(control.mean), math.sqrt(variance)


def sequential_interval(
    control: Arm, treatment: Arm, effect: float, error: float, alpha: float, tuning: float
) -> tuple[float, float]:
    users = control.users + treatment.users
    rho = math.sqrt((-2 * math.log(alpha) + math.log(-2 * math.log(alpha) + 1)) / tuning)
    scale = error * math.sqrt(users)
    reach = scale * math.sqrt(
        2 * (users * rho**2 + 1) / (users**2 * rho**2) * math.log(math.sqrt(users * rho**2 + 1) / alpha)
    )
    return effect - reach, effect + reach


def sequential_p_value(control: Arm, treatment: Arm, effect: float, error: float, alpha: float, tuning: float) -> float:
    users = control.users + treatment.users
    rho2 = (-2 * math.log(alpha) + math.log(-2 * math.log(alpha) + 1)) / tuning
    statistic = effect / error
    evidence = users * rho2 / (1 + users * rho2) * statistic**2 / 2
    return min(1.0, math.sqrt(1 + users * rho2) * math.exp(-evidence))


def posterior(effect: float, error: float, prior_mean: float, prior_std_dev: float) -> tuple[float, float]:
    precision = 1 / error**2 + 1 / prior_std_dev**2
    return (effect / error**2 + prior_mean / prior_std_dev**2) / precision, math.sqrt(1 / precision)


def chance_and_risk(mean: float, std_dev: float) -> tuple[float, float]:
    """Chance to win and the risk of the treatment, as gbstats takes it from a truncated normal."""
    chance = norm.sf(0, mean, std_dev)
    loss = -truncnorm.mean(-math.inf, (0 - mean) / std_dev, loc=mean, scale=std_dev) * (1 - chance)
    return chance, loss


def ratio(users: float, m: Arm, d: Arm, covariance: float) -> Arm:
    variance = m.variance / d.mean**2 - 2 * covariance * m.mean / d.mean**3
    return Arm(users, m.mean / d.mean, variance + d.variance * m.mean**2 / d.mean**4)
