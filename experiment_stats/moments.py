"""What is known of one arm of a comparison: users, and sums over them."""

from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import numpy.typing as npt

from experiment_stats.arrays import Floats, floats


@dataclass(frozen=True, slots=True)
class Moments:
    """Sums over the users of one arm, one element for each comparison; every field is float64 of the same length.

    NaN means that a sum is absent. A user without events counts in `users` and adds 0 to every sum.
    """

    users: Floats
    """Users first exposed to the arm."""
    main_sum: Floats
    """Of the metric; for a proportion the users who converted, for a ratio its numerator."""
    main_sum_squares: Floats
    """Not needed for a proportion."""
    denominator_sum: Floats
    """Of a ratio's denominator; absent for other metrics."""
    denominator_sum_squares: Floats
    main_denominator_sum_product: Floats
    covariate_sum: Floats
    """Of the same metric before the first exposure (CUPED); absent where there is no such period."""
    covariate_sum_squares: Floats
    main_covariate_sum_product: Floats

    def __post_init__(self) -> None:
        """Make every field a contiguous float64 column.

        Raises:
            ValueError: the fields differ in length.
        """
        length = np.size(self.users)
        for field in fields(self):
            object.__setattr__(self, field.name, floats(getattr(self, field.name), length))

    def __len__(self) -> int:
        return len(self.users)

    @classmethod
    def of(cls, users: npt.ArrayLike, main_sum: npt.ArrayLike, **sums: npt.ArrayLike) -> Self:
        """Moments from arrays or single values; sums that are not named are absent.

        Raises:
            TypeError: a sum has an unknown name.
            ValueError: the arrays differ in length.
        """
        absent: dict[str, npt.ArrayLike] = {field.name: np.nan for field in fields(cls)}
        known = np.atleast_1d(np.asarray(users, dtype=np.float64))
        return cls(**{**absent, **sums, "users": known, "main_sum": main_sum})  # type: ignore[arg-type]

    def take(self, rows: npt.NDArray[np.generic] | slice) -> Self:
        """The moments of some of the comparisons, in the order of `rows` (indices, a mask or a slice)."""
        return type(self)(*(getattr(self, field.name)[rows] for field in fields(self)))
