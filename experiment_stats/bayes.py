"""A normal prior on the effect and a normal likelihood: chance to win, expected loss and credible interval.

GrowthBook, details of the statistics engine, equations 5 and 6; closed forms instead of draws.
"""

import numpy as np
from scipy.special import erfcx, ndtr

from experiment_stats.arrays import Booleans, Floats

_CERTAIN = 37.0
"""Posterior standard deviations from 0 beyond which the losing side has less than 1e-299."""


def posterior(effect: Floats, variance: Floats, prior_mean: Floats, prior_std_dev: Floats) -> tuple[Floats, Floats]:
    """Mean and standard deviation of the effect after the data; a prior deviation of NaN or infinity is flat.

    Precisions add: 1/v of the data and 1/s0^2 of the prior, and the means are weighted by them.
    """
    is_flat = ~np.isfinite(prior_std_dev)
    std_error = np.sqrt(variance)
    # Shares by hypot: a precision of a tiny deviation would overflow.
    both = np.hypot(std_error, prior_std_dev)
    data_share, prior_share = (prior_std_dev / both) ** 2, (std_error / both) ** 2
    mean = np.where(is_flat, effect, effect * data_share + prior_mean * prior_share)
    return mean, np.where(is_flat, std_error, std_error * (prior_std_dev / both))


def chance_to_win(mean: Floats, std_dev: Floats, is_increase_good: Booleans) -> Floats:
    """Probability that the effect is in the good direction."""
    chance: Floats = ndtr(np.where(is_increase_good, mean, -mean) / std_dev)
    return chance


def expected_loss(mean: Floats, std_dev: Floats, is_increase_good: Booleans) -> Floats:
    """What shipping the treatment loses on average: sd phi(z) - mu Phi(-z) with z = mu/sd in the good direction.

    0 from z = 37 on. Above 0 the two terms nearly cancel, so Mills' ratio is taken from the scaled error function.
    """
    z = np.where(is_increase_good, mean, -mean) / std_dev
    density = np.exp(-z * z / 2) / np.sqrt(2 * np.pi)
    mills = np.sqrt(np.pi / 2) * erfcx(np.maximum(z, 0) / np.sqrt(2))
    above = density * np.maximum(1 - z * mills, 0)
    below = density - z * ndtr(-z)
    return std_dev * np.where(z > _CERTAIN, 0.0, np.where(z > 0, above, below))
