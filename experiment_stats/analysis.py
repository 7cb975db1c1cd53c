"""The one door: comparisons in, estimates out."""

from experiment_stats.comparisons import Comparisons
from experiment_stats.estimates import Estimates


def analyse(comparisons: Comparisons) -> Estimates:
    """Everything that is known about each comparison, in the order they were given.

    No row fails the others: what cannot be answered is NULL, and `status` and `validation_failures` say why.
    """
    raise NotImplementedError
