"""The lift, a difference over |control mean|: its error and interval, by Fieller's theorem or the delta method.

All take the errors of the mean: squared standard errors of the treatment's mean, of the control's, and their
covariance (0 unless CUPED ties them), each divided by the square of the control mean.
"""

from dataclasses import dataclass

import numpy as np

from experiment_stats.arrays import Floats


@dataclass(frozen=True, slots=True)
class RelativeErrors:
    """Errors of the two means in units of the control mean."""

    treatment: Floats
    control: Floats
    covariance: Floats

    def variance_of_lift(self, lift: Floats) -> Floats:
        """Delta method: B - 2 R C + R^2 A with R = 1 + lift (GrowthBook, equations 1 and 2), never negative.

        `lift` is signed by the control mean: (treatment - control) / control.
        """
        ratio = 1 + lift
        return np.maximum(self.treatment - 2 * ratio * self.covariance + ratio * ratio * self.control, 0)


def fieller(lift: Floats, errors: RelativeErrors, critical: Floats) -> tuple[Floats, Floats]:
    """Limits of the signed lift (Fieller 1954); NaN where the control mean is not distinct from 0 (g >= 1).

    The values of R for which treatment - R control is not distinct from 0 at this critical value. It excludes 0
    exactly when the interval of the difference with the same critical value does.
    """
    a, b, c = errors.control, errors.treatment, errors.covariance
    squared = critical * critical
    g = squared * a
    ratio = 1 + lift
    spread = b - 2 * ratio * c + ratio * ratio * a - squared * (a * b - c * c)
    reach = critical * np.sqrt(np.maximum(spread, 0))
    # (R - q^2 C -+ reach) / (1 - g) - 1, without taking the difference of two numbers near 1.
    middle = lift + g - squared * c
    is_defined = g < 1
    return tuple(  # type: ignore[return-value]
        np.where(is_defined, (middle + side * reach) / np.where(is_defined, 1 - g, 1), np.nan) for side in (-1, 1)
    )


def delta(lift: Floats, errors: RelativeErrors, critical: Floats) -> tuple[Floats, Floats]:
    """Limits of the signed lift: it -+ the critical value times its standard error."""
    reach = critical * np.sqrt(errors.variance_of_lift(lift))
    return lift - reach, lift + reach


def oriented(limits: tuple[Floats, Floats], control_mean: Floats) -> tuple[Floats, Floats]:
    """Limits of the lift over |control mean| from those over the control mean: swapped and negated below 0."""
    lower, upper = limits
    is_negative = control_mean < 0
    return np.where(is_negative, -upper, lower), np.where(is_negative, -lower, upper)
