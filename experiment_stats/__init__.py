"""Moments in, estimates out: the statistics of experiments for arrays of comparisons, on numpy and scipy.special alone.

One door: `experiment_stats.analysis.analyse`. Planning and the sample ratio have doors of their own.
"""

ENGINE_VERSION = "1.0.0"
"""Stands in every row of results; it changes when a number can change."""
