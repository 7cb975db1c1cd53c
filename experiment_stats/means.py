"""Two means with variances of their own: Welch's test and interval (Welch 1947)."""

import numpy as np
from scipy.special import stdtr, stdtrit

from experiment_stats.arrays import Floats


def welch_degrees_of_freedom(
    control_error: Floats, treatment_error: Floats, control_users: Floats, treatment_users: Floats
) -> Floats:
    """(A+B)^2 / (A^2/(n_c-1) + B^2/(n_t-1)) for the squared standard errors A and B of the two means.

    Written with their shares of the sum, so that tiny and huge variances neither vanish nor overflow.
    """
    share = control_error / (control_error + treatment_error)
    return 1 / (share**2 / (control_users - 1) + (1 - share) ** 2 / (treatment_users - 1))


def two_sided_p_value(statistic: Floats, degrees_of_freedom: Floats) -> Floats:
    """From the lower tail, so that it is right down to 1e-300."""
    p_values: Floats = np.minimum(2 * stdtr(degrees_of_freedom, -np.abs(statistic)), 1.0)
    return p_values


def critical_value(degrees_of_freedom: Floats, alpha: Floats) -> Floats:
    """Standard errors to each side of an interval of confidence 1 - alpha."""
    quantile: Floats = -stdtrit(degrees_of_freedom, alpha / 2)
    return quantile
