"""What is asked: for each row one treatment against its control, and how the question is put."""

from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from experiment_stats.arrays import Booleans, Floats, Integers, column
from experiment_stats.moments import Moments

DEFAULT_TUNING_USERS = 5000.0
"""N* of the confidence sequence when no number of users is planned (the default of GrowthBook)."""
DEFAULT_TARGET_RELATIVE_EFFECT = 0.1
"""The lift that `required_users` is for when the experiment names none."""
DEFAULT_MINIMUM_TOTAL = 150.0
"""Total of a metric in both arms below which a row is `low_counts` (the default of GrowthBook)."""


class MetricType(IntEnum):
    """How the moments of a metric are read."""

    PROPORTION = 0
    """Users who converted, of the users: `main_sum / users`."""
    MEAN = 1
    """`main_sum / users`."""
    RATIO = 2
    """`main_sum / denominator_sum`, by the delta method over users."""


class Correction(IntEnum):
    """How the p-values of one family are adjusted."""

    NONE = 0
    HOLM = 1
    """The chance of any false rejection in the family stays below alpha (Holm 1979)."""
    BH = 2
    """The expected share of false rejections stays below alpha (Benjamini & Hochberg 1995)."""


class RelativeMethod(IntEnum):
    """How the interval of the lift is made for means and large counts; sparse proportions have MOVER-R."""

    FIELLER = 0
    """Excludes 0 exactly when the interval of the difference does."""
    DELTA = 1
    """As GrowthBook does; lopsided when the control mean is noisy."""


class PosteriorScale(IntEnum):
    """What the posterior, its interval and the expected loss speak of."""

    RELATIVE = 0
    """The lift, a fraction of |control mean|."""
    ABSOLUTE = 1
    """The difference in units of the metric; the prior is multiplied by |control mean|."""


_KINDS: dict[str, type[np.generic]] = {
    "metric_type": np.int64,
    "is_increase_good": np.bool_,
    "is_guardrail": np.bool_,
    "family": np.int64,
    "correction": np.int64,
    "series": np.int64,
    "as_of": np.int64,
    "relative_method": np.int64,
    "posterior_scale": np.int64,
}


@dataclass(frozen=True, slots=True)
class Comparisons:
    """Treatments against their controls, one element of every array a comparison.

    The rows of one family, and of one series, belong into one call; otherwise rows may come in any order and be split
    over any number of calls, and the numbers are the same to the last bit.
    """

    metric_type: Integers
    """Codes of `MetricType`."""
    treatment: Moments
    control: Moments
    is_increase_good: Booleans
    """False where a lower metric is the better one."""
    alpha: Floats
    """1 - confidence level, two-sided; between 0 and 1."""
    tuning_users: Floats
    """N*: the total users of the two arms at which the confidence sequence is tightest. Never change it after the
    start. NaN: `DEFAULT_TUNING_USERS`."""
    prior_mean: Floats
    """Of the relative effect; NaN: 0."""
    prior_std_dev: Floats
    """Of the relative effect; NaN: a flat prior."""
    posterior_scale: Integers
    """Codes of `PosteriorScale`."""
    non_inferiority_margin: Floats
    """The loss that is tolerated, above 0, in units of the metric; NaN: none."""
    is_guardrail: Booleans
    """Guardrails are tested for non-inferiority and stand outside their family."""
    family: Integers
    """Rows of one code are corrected together: (experiment, as-of date, dimension)."""
    correction: Integers
    """Codes of `Correction`."""
    series: Integers
    """Rows of one code are looks at the same comparison: (experiment, metric, variant, dimension, value)."""
    as_of: Integers
    """The order of looks in a series, such as the day's ordinal."""
    relative_method: Integers
    """Codes of `RelativeMethod`."""
    power: Floats
    """Wanted chance to find the target effect."""
    target_relative_effect: Floats
    """The lift that is worth finding, as a fraction; NaN: `DEFAULT_TARGET_RELATIVE_EFFECT`."""
    daily_users: Floats
    """New users of the two arms in a day; NaN: unknown."""
    minimum_total: Floats
    """Below this total of the metric in both arms a row is `low_counts`."""

    def __post_init__(self) -> None:
        """Make every field a contiguous column of its kind.

        Raises:
            ValueError: the fields differ in length, or a code is unknown.
        """
        length = len(self.treatment)
        if len(self.control) != length:
            raise ValueError(f"{length} treatments against {len(self.control)} controls")
        for field in fields(self):
            if field.name not in ("treatment", "control"):
                kind = _KINDS.get(field.name, np.float64)
                object.__setattr__(self, field.name, column(getattr(self, field.name), length, kind))
        for name, codes in _CODES.items():
            if not np.isin(getattr(self, name), list(codes)).all():
                raise ValueError(f"{name} has a code that is none of {[f'{one.value} {one.name}' for one in codes]}")

    def __len__(self) -> int:
        return len(self.treatment)

    @classmethod
    def of(cls, metric_type: npt.ArrayLike, treatment: Moments, control: Moments, **settings: npt.ArrayLike) -> Self:
        """Comparisons from arrays or single values.

        What is not named: more is better, alpha 0.05, a flat prior on the lift, no guardrail, every row a family and
        a series of its own, Fieller intervals, a power of 0.8 and unknown traffic.

        Raises:
            TypeError: a setting has an unknown name.
            ValueError: the arrays differ in length, or a code is unknown.
        """
        rows = np.arange(len(treatment))
        defaults: dict[str, Any] = {
            "is_increase_good": True,
            "alpha": 0.05,
            "tuning_users": np.nan,
            "prior_mean": 0.0,
            "prior_std_dev": np.nan,
            "posterior_scale": PosteriorScale.RELATIVE,
            "non_inferiority_margin": np.nan,
            "is_guardrail": False,
            "family": rows,
            "correction": Correction.HOLM,
            "series": rows,
            "as_of": 0,
            "relative_method": RelativeMethod.FIELLER,
            "power": 0.8,
            "target_relative_effect": np.nan,
            "daily_users": np.nan,
            "minimum_total": DEFAULT_MINIMUM_TOTAL,
        }
        return cls(metric_type=metric_type, treatment=treatment, control=control, **{**defaults, **settings})  # type: ignore[arg-type]

    def take(self, rows: npt.NDArray[np.generic] | slice) -> Self:
        """Some of the comparisons, in the order of `rows` (indices, a mask or a slice)."""
        chosen: dict[str, Any] = {}
        for field in fields(self):
            whole = getattr(self, field.name)
            chosen[field.name] = whole.take(rows) if isinstance(whole, Moments) else whole[rows]
        return type(self)(**chosen)


_CODES: dict[str, type[IntEnum]] = {
    "metric_type": MetricType,
    "correction": Correction,
    "relative_method": RelativeMethod,
    "posterior_scale": PosteriorScale,
}
