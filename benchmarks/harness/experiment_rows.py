"""Comparisons as experiments bring them: proportions, means, means with a past (CUPED) and ratios, in equal parts."""

import numpy as np

from experiment_stats.comparisons import Comparisons, Correction, MetricType
from experiment_stats.moments import Moments

KINDS = (MetricType.PROPORTION, MetricType.MEAN, MetricType.MEAN, MetricType.RATIO)
"""Of rows 0 to 3, and so on; the second mean is the one with a past."""
_ROWS_OF_A_FAMILY = 20
_LOOKS = 20


def comparisons(count: int, seed: int = 20_261_130) -> Comparisons:
    """So many rows, in families of 20 and series of 20 looks that lie in blocks of 400; every tenth a guardrail."""
    random = np.random.default_rng(seed)
    rows = np.arange(count)
    kinds = np.array(KINDS)[rows % 4]
    treatment, control = _arm(random, kinds, rows % 4 == 2, lift=0.01), _arm(random, kinds, rows % 4 == 2, lift=0.0)
    is_guardrail = rows % 10 == 9
    block, inside = rows // (_ROWS_OF_A_FAMILY * _LOOKS), rows % (_ROWS_OF_A_FAMILY * _LOOKS)
    return Comparisons.of(
        kinds,
        treatment,
        control,
        tuning_users=20_000,
        is_guardrail=is_guardrail,
        non_inferiority_margin=np.where(is_guardrail, 0.1, np.nan),
        family=block * _LOOKS + inside // _ROWS_OF_A_FAMILY,
        series=block * _ROWS_OF_A_FAMILY + inside % _ROWS_OF_A_FAMILY,
        as_of=inside // _ROWS_OF_A_FAMILY,
        correction=np.where(block % 2, Correction.BH, Correction.HOLM),
        daily_users=1000,
    )


def blocks(count: int, size: int) -> list[slice]:
    """Chunks of about this size that keep families and series whole."""
    step = max(size // (_ROWS_OF_A_FAMILY * _LOOKS), 1) * _ROWS_OF_A_FAMILY * _LOOKS
    return [slice(begin, min(begin + step, count)) for begin in range(0, count, step)]


def _arm(random: np.random.Generator, kinds: np.ndarray, has_past: np.ndarray, lift: float) -> Moments:
    """Sums as they come from users whose metric has a mean of about 10 and a correlation of about 0.6 with the past."""
    count = len(kinds)
    users = random.integers(2000, 200_000, count).astype(float)
    mean = 10 * (1 + lift) + random.normal(0, 8, count) / np.sqrt(users)
    variance, past_variance = random.uniform(40, 90, count), random.uniform(40, 90, count)
    past_mean = 9 + random.normal(0, 8, count) / np.sqrt(users)
    product = users * mean * past_mean + (users - 1) * 0.6 * np.sqrt(variance * past_variance)
    past = users * past_mean, users * past_mean**2 + (users - 1) * past_variance, product
    conversions = random.binomial(users.astype(int), 0.05 * (1 + lift))
    is_ratio = kinds == MetricType.RATIO
    return Moments(
        users,
        np.where(kinds == MetricType.PROPORTION, conversions, users * mean),
        users * mean**2 + (users - 1) * variance,
        *(np.where(is_ratio, one, np.nan) for one in past),
        *(np.where(has_past, one, np.nan) for one in past),
    )
