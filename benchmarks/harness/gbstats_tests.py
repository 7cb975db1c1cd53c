"""The same rows through gbstats, run by a Python of its own: python gbstats_tests.py <rows.npz> <answers.npz>.

For each row its three tests, each of the difference and of the lift. Prints the seconds of the processor that they
took; reading the rows and making its statistics of them is not among them.
"""

import sys
import time

import numpy as np
from gbstats.bayesian.tests import EffectBayesianABTest, EffectBayesianConfig
from gbstats.frequentist.tests import FrequentistConfig, SequentialConfig, SequentialTwoSidedTTest, TwoSidedTTest
from gbstats.models.statistics import (
    ProportionStatistic,
    RatioStatistic,
    RegressionAdjustedStatistic,
    SampleMeanStatistic,
)

SCALES = ("absolute", "relative")


def statistic(kind: int, has_past: bool, sums: np.ndarray) -> object:
    """Its own class for an arm whose sums are in the order of our moments."""
    users, main, squares, denominator, denominator_squares, product, past, past_squares, past_product = map(float, sums)
    count = int(users)
    if kind == 0:
        return ProportionStatistic(n=count, sum=main)
    mean = SampleMeanStatistic(n=count, sum=main, sum_squares=squares)
    if kind == 2:
        below = SampleMeanStatistic(n=count, sum=denominator, sum_squares=denominator_squares)
        return RatioStatistic(n=count, m_statistic=mean, d_statistic=below, m_d_sum_of_products=product)
    if has_past:
        before = SampleMeanStatistic(n=count, sum=past, sum_squares=past_squares)
        return RegressionAdjustedStatistic(
            n=count, post_statistic=mean, pre_statistic=before, post_pre_sum_of_products=past_product, theta=0
        )
    return mean


def main() -> None:
    """Read the rows, test them, write what came out."""
    rows = np.load(sys.argv[1])
    tuning = float(rows["tuning_users"][0])
    pairs = [
        tuple(statistic(kind, has_past, arm) for arm in arms)
        for kind, has_past, *arms in zip(
            rows["kinds"], rows["has_past"], rows["control"], rows["treatment"], strict=True
        )
    ]
    answers = np.empty((len(pairs), len(SCALES), 11))
    settings = [
        (
            FrequentistConfig(difference_type=scale),
            SequentialConfig(difference_type=scale, sequential_tuning_parameter=tuning),
            EffectBayesianConfig(difference_type=scale),
        )
        for scale in SCALES
    ]
    seconds = [0.0, 0.0, 0.0]
    for row, pair in enumerate(pairs):
        for scale, (fixed_config, sequential_config, bayes_config) in enumerate(settings):
            begin = time.process_time()
            fixed = TwoSidedTTest(*pair, fixed_config).compute_result()
            after_fixed = time.process_time()
            sequential = SequentialTwoSidedTTest(*pair, sequential_config).compute_result()
            after_sequential = time.process_time()
            bayes = EffectBayesianABTest(*pair, bayes_config).compute_result()
            end = time.process_time()
            for part, passed in enumerate(
                (after_fixed - begin, after_sequential - after_fixed, end - after_sequential)
            ):
                seconds[part] += passed
            answers[row, scale] = (
                *(fixed.expected, fixed.uplift.stddev, *fixed.ci, fixed.p_value),
                *(*sequential.ci, sequential.p_value),
                *(bayes.chance_to_win, *bayes.ci),
            )
    np.savez(sys.argv[2], answers=answers)
    sys.stdout.write(" ".join(f"{one:.9f}" for one in seconds))


if __name__ == "__main__":
    main()
