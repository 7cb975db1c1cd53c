"""Results that are valid at every look: the asymptotic confidence sequence, a normal mixture.

Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas (Annals of Statistics 2024), as GrowthBook uses it. The same numbers as
the two-sided normal mixture of Howard et al. (2021) with v = N and v_opt = N*, and as the mSPRT of Johari et al. (2022)
with tau^2 = se^2 N rho^2.
"""

import numpy as np

from experiment_stats.arrays import Floats, Integers
from experiment_stats.groups import first_of_group, running_minimum


def mixture_size(users: Floats, tuning_users: Floats, alpha: Floats) -> Floats:
    """k = N rho^2 with rho^2 = (-2 ln a + ln(1 - 2 ln a)) / N*, the mixture that is tightest at N* users."""
    logarithm = -2 * np.log(alpha)
    size: Floats = users / tuning_users * (logarithm + np.log1p(logarithm))
    return size


def critical_value(k: Floats, alpha: Floats) -> Floats:
    """Standard errors to each side of the confidence sequence: sqrt(2(k+1)/k ln(sqrt(k+1)/a))."""
    errors: Floats = np.sqrt((1 + 1 / k) * (np.log1p(k) - 2 * np.log(alpha)))
    return errors


def log_e_value(statistic: Floats, k: Floats) -> Floats:
    """ln E = k/(k+1) t^2/2 - ln(1+k)/2: the evidence against no effect, as a logarithm that does not overflow."""
    return k / (k + 1) * (statistic * statistic / 2) - np.log1p(k) / 2


def p_value(log_evidence: Floats) -> Floats:
    """min(1, 1/E) of one look."""
    return np.exp(-np.maximum(log_evidence, 0))


def running_p_values(p_values: Floats, series: Integers, as_of: Integers) -> Floats:
    """The smallest p-value of the series up to each look; looks of one as-of date count as one.

    A look without a test is NaN and leaves the p-value of later ones as it is.
    """
    order = np.lexsort((-p_values, as_of, series))
    falling, looks = p_values[order], first_of_group(series[order], as_of[order])
    so_far = running_minimum(falling, first_of_group(series[order]))
    # Inside a look the values fall, so the last one that is tested has the minimum for all of them.
    last_first = np.append(looks[1:], True)[::-1]
    result = np.empty_like(p_values)
    result[order] = running_minimum(so_far[::-1], last_first)[::-1]
    return result
