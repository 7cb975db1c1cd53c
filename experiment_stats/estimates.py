"""What is answered: one array a column of the results, in the order of the comparisons."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from experiment_stats.arrays import Booleans, Floats, Objects


@dataclass(frozen=True, slots=True)
class Estimates:
    """Columns of results; floats have NaN for NULL and are never infinite, texts and nullable booleans have None.

    Each number is explained in docs/experiment-statistics.md.
    """

    absolute_difference: Floats
    """Treatment minus control in units of the metric; adjusted by CUPED where `is_cuped_adjusted`."""
    absolute_std_error: Floats
    absolute_ci_lower: Floats
    absolute_ci_upper: Floats
    relative_lift: Floats
    """The difference over |control mean|, a fraction."""
    relative_std_error: Floats
    relative_ci_lower: Floats
    relative_ci_upper: Floats
    relative_ci_method: Objects
    """`fieller`, `delta` or `mover_r`; None where there is no interval."""

    test_method: Objects
    """`welch` or `score`; None where there is no test."""
    test_statistic: Floats
    degrees_of_freedom: Floats
    """NaN for `score`, which is normal."""
    p_value: Floats
    """Two-sided, of the difference."""
    p_value_adjusted: Floats
    correction_method: Objects
    """`holm`, `bh` or `none`; a guardrail has `none`."""
    alpha: Floats
    is_significant: Objects
    """Whether the adjusted p-value is below alpha; None where there is none."""

    sequential_p_value: Floats
    """Valid at every look; the smallest of the series so far."""
    sequential_p_value_adjusted: Floats
    """The same, corrected in the family."""
    sequential_ci_lower: Floats
    sequential_ci_upper: Floats
    sequential_relative_ci_lower: Floats
    sequential_relative_ci_upper: Floats
    sequential_tuning_parameter: Floats
    """N* in users."""
    is_significant_sequential: Objects
    """Whether the adjusted always-valid p-value is at most alpha; None where there is none."""

    chance_to_win: Floats
    """Probability that the effect is in the good direction."""
    expected_loss: Floats
    """What shipping the treatment loses on average, on the scale of the posterior; never negative."""
    posterior_mean: Floats
    posterior_std_dev: Floats
    credible_interval_lower: Floats
    credible_interval_upper: Floats
    prior_mean: Floats
    prior_std_dev: Floats
    """NaN: flat."""
    prior_is_proper: Booleans

    is_cuped_adjusted: Booleans
    cuped_theta: Floats
    """0 where there is nothing to adjust by, NaN for ratios."""
    variance_reduction: Floats
    """Share of the variance of the difference that the adjustment took away."""

    non_inferiority_margin: Floats
    non_inferiority_p_value: Floats
    """One-sided, of a loss as large as the margin."""
    guardrail_status: Objects
    """`passed`, `failed` or `inconclusive`; None for other metrics and where there is no test."""

    mde_relative: Floats
    """The lift that would be found with the wanted power with the users there are now."""
    required_users: Floats
    """Of the two arms, to find the target effect with the wanted power."""
    runtime_days: Floats
    """From the start, at the given traffic."""

    status: Objects
    """`ok`, or why numbers are NULL: a key of `validity.STATUSES`."""
    validation_failures: Objects
    """A tuple of every reason there is for caution: keys of `validity.FAILURES`."""

    def __len__(self) -> int:
        return len(self.status)

    def columns(self) -> dict[str, npt.NDArray[Any]]:
        """Name to array, in the order above."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def take(self, rows: npt.NDArray[np.generic] | slice) -> "Estimates":
        """Some of the rows, in the order of `rows`."""
        return Estimates(*(values[rows] for values in self.columns().values()))

    def is_identical(self, other: "Estimates") -> bool:
        """Equal to the last bit; NaN equals NaN, and 0.0 does not equal -0.0."""
        others = other.columns()
        return all(
            values.tobytes() == others[name].tobytes()
            if values.dtype != np.object_
            else values.tolist() == others[name].tolist()
            for name, values in self.columns().items()
        )
