"""Many tests at once: p-values adjusted inside each family, for the chance or the share of false rejections."""

import numpy as np

from experiment_stats.arrays import Floats, Integers
from experiment_stats.comparisons import Correction
from experiment_stats.groups import first_of_group, positions, running_minimum


def adjusted_p_values(p_values: Floats, family: Integers, correction: Integers) -> Floats:
    """Holm: p_(i) (m-i+1), cumulative maximum; BH: p_(i) m/i, cumulative minimum from the largest; at most 1.

    Args:
        p_values: NaN where there is no test; such a row leaves its family, and the family is the smaller.
        family: rows of one code and one correction are adjusted together.
        correction: codes of `Correction`; a row without one stands outside its family and keeps its p-value.
    """
    adjusted = p_values.copy()
    for method in (Correction.HOLM, Correction.BH):
        rows = np.flatnonzero((correction == method) & ~np.isnan(p_values))
        if not len(rows):
            continue
        order = rows[np.lexsort((p_values[rows], family[rows]))]
        starts = first_of_group(family[order])
        place, size = positions(starts)
        sorted_values = p_values[order]
        if method == Correction.HOLM:
            # Taken from 0, because -0.0 is not the number that a p-value of 0 is.
            adjusted[order] = 0.0 - running_minimum(-np.minimum(sorted_values * (size - place + 1), 1), starts)
        else:
            backwards = np.minimum(sorted_values * (size / place), 1)[::-1]
            ends = np.append(starts[1:], True)[::-1]
            adjusted[order] = running_minimum(backwards, ends)[::-1]
    return adjusted
