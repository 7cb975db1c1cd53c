"""Whether the numbers of experiments keep what they promise, by simulation with fixed seeds.

Error of tests without an effect, each tail of the lift's interval, looking every day, coverage with true effects, what
CUPED saves, sample ratios. A rate must lie within four of its standard errors of what is promised; where a promise is
"at most", or "at least", only on that side; daily looks must stay below the level itself.

Run: python -m benchmarks.experiment_calibration [--share 1.0]
"""

import argparse
import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks.harness import simulated_arms as arms
from benchmarks.harness.simulated_arms import Arm
from experiment_stats import planning
from experiment_stats.analysis import analyse
from experiment_stats.comparisons import Comparisons, MetricType, PosteriorScale
from experiment_stats.estimates import Estimates
from experiment_stats.sample_ratio import expected_users, sample_ratio_p_values

SEED = 20_261_130
REPLICATES = 20_000
PEEKING_REPLICATES = 10_000
SAMPLE_RATIO_REPLICATES = 50_000
_ERRORS = 4.0
PROPORTION, MEAN, RATIO = MetricType


@dataclass(frozen=True, slots=True)
class Check:
    """What was found beside what is promised."""

    name: str
    found: float
    promised: float
    tolerance: float
    side: str = "both"
    """`both`, or `most` or `least` where the promise is one-sided."""

    @property
    def is_kept(self) -> bool:
        """Whether it is close enough."""
        excess = self.found - self.promised
        return (excess <= self.tolerance or self.side == "least") and (excess >= -self.tolerance or self.side == "most")

    def line(self) -> str:
        """The figures."""
        words = {"both": "", "most": "at most ", "least": "at least "}[self.side]
        verdict = "" if self.is_kept else "  MISSED"
        return f"{self.name:<72} {self.found:.4f}, promised {words}{self.promised:g} +- {self.tolerance:.4f}{verdict}"


def rate(name: str, hits: np.ndarray, promised: float, side: str = "both") -> Check:
    """A check of a share, within four standard errors of what is promised."""
    error = math.sqrt(promised * (1 - promised) / len(hits))
    return Check(name, float(np.mean(hits)), promised, _ERRORS * error, side)


Chapter = Callable[[float], Iterator[Check | str]]
"""Checks, and remarks beside them."""


def compared(kind: MetricType, treatment: Arm, control: Arm, count: int, **settings: float) -> Estimates:
    """Estimates of so many replicates, from a seed of their own."""
    random = np.random.default_rng([SEED, count, int(kind)])
    return analyse(Comparisons.of(kind, treatment(random, count), control(random, count), **settings))


WITHOUT_EFFECT: dict[str, tuple[MetricType, Arm, Arm]] = {
    "rate of 1 %": (PROPORTION, arms.proportion(20_000, 0.01), arms.proportion(20_000, 0.01)),
    "rate of 10 %": (PROPORTION, arms.proportion(3000, 0.1), arms.proportion(3000, 0.1)),
    "rate of 50 %": (PROPORTION, arms.proportion(1001, 0.5), arms.proportion(997, 0.5)),
    "rate of 5 %, split 90 to 10": (PROPORTION, arms.proportion(4000, 0.05), arms.proportion(36_000, 0.05)),
    "ten users an arm": (MEAN, arms.normal(10, 3, 1), arms.normal(10, 3, 1)),
    "unequal variances and arms": (MEAN, arms.normal(50, 5, 4), arms.normal(200, 5, 1)),
    "skewed revenue": (MEAN, arms.revenue(1000, 0.1, 40), arms.revenue(1000, 0.1, 40)),
    "overdispersed counts": (MEAN, arms.counts(500, 2), arms.counts(500, 2)),
    "ratio of orders to sessions": (RATIO, arms.ratio(500, 0.2), arms.ratio(500, 0.2)),
    "CUPED, correlation 0.7": (MEAN, arms.with_past(300, 4, 0.7), arms.with_past(300, 4, 0.7)),
}


def fixed_horizon(share: float) -> Iterator[Check]:
    """False alarms of one look without an effect."""
    for name, design in WITHOUT_EFFECT.items():
        found = compared(*design, int(REPLICATES * share))
        for alpha in (0.01, 0.05, 0.2):
            yield rate(f"{name}, error at {alpha:g}", found.p_value < alpha, alpha)
    sparse = PROPORTION, arms.proportion(2000, 0.002), arms.proportion(18_000, 0.002)
    found = compared(*sparse, int(REPLICATES * share))
    yield rate("rate of 0.2 %, split 90 to 10, error at 0.05", found.p_value < 0.05, 0.05, "most")


_RARE = arms.proportion(50_000, 0.001)


def tails(share: float) -> Iterator[Check]:
    """False wins and false losses of the lift's interval apart."""
    designs: dict[str, tuple[MetricType, Arm, Arm]] = {
        "rate of 5 %, 50 conversions an arm": (PROPORTION, arms.proportion(1000, 0.05), arms.proportion(1000, 0.05)),
        "rate of 0.1 %, 50 conversions an arm": (PROPORTION, _RARE, _RARE),
        "mean that is five of its standard errors": (MEAN, arms.normal(100, 0.5, 1), arms.normal(100, 0.5, 1)),
    }
    for name, design in designs.items():
        found = compared(*design, int(REPLICATES * share))
        yield rate(f"{name}, false wins", found.relative_ci_lower > 0, 0.025)
        yield rate(f"{name}, false losses", found.relative_ci_upper < 0, 0.025)


PLANS: dict[str, tuple[MetricType, Arm, int, float]] = {
    "28 days of 100 users an arm, rate of 1 %": (PROPORTION, arms.proportion(100, 0.01), 28, 5600),
    "28 days of 1,000 users an arm, rate of 5 %, not planned": (PROPORTION, arms.proportion(1000, 0.05), 28, np.nan),
    "50 days of 200 users an arm, rate of 10 %": (PROPORTION, arms.proportion(200, 0.1), 50, 20_000),
    "50 days of 50 users an arm, mean of 0.5 deviations": (MEAN, arms.normal(50, 0.5, 1), 50, 5000),
    "28 days of 40 users an arm, skewed revenue": (MEAN, arms.revenue(40, 0.1, 40), 28, 2240),
    "28 days of 40 users an arm, ratio": (RATIO, arms.ratio(40, 0.2), 28, 2240),
}


def peeking(share: float) -> Iterator[Check | str]:
    """False alarms at any of the daily looks."""
    for name, (kind, arm, days, planned) in PLANS.items():
        count = int(PEEKING_REPLICATES * share)
        random = np.random.default_rng([SEED, days])
        looks = arms.by_day(arm, days)
        series, day = np.arange(count * days) // days, np.arange(count * days) % days
        treatment, control = looks(random, count), looks(random, count)
        found = analyse(Comparisons.of(kind, treatment, control, series=series, as_of=day, tuning_users=planned))
        last = found.sequential_p_value.reshape(count, days)
        lower, upper = found.sequential_relative_ci_lower, found.sequential_relative_ci_upper
        is_lift = ((lower > 0) | (upper < 0)).reshape(count, days)
        found_rates = {"difference": np.nanmin(last, axis=1) <= 0.05, "lift": is_lift.any(axis=1)}
        for what, hits in found_rates.items():
            yield Check(f"{name}, {what}", float(np.mean(hits)), 0.05, 0, "most")
        naive = (found.p_value < 0.05).reshape(count, days).any(axis=1)
        yield f"{name}, by p-values of one look for comparison: {naive.mean():.4f}"


def coverage(share: float) -> Iterator[Check]:
    """How often intervals hold the true effect."""
    designs: dict[str, tuple[MetricType, Arm, Arm, float, float]] = {
        "10 % to 11 %": (PROPORTION, arms.proportion(5000, 0.11), arms.proportion(5000, 0.1), 0.01, 0.1),
        "mean + 5 %": (MEAN, arms.normal(400, 2.1, 1), arms.normal(300, 2, 1.5), 0.1, 0.05),
        "negative baseline, -1 to -0.9": (MEAN, arms.normal(900, -0.9, 2), arms.normal(900, -1, 2), 0.1, 0.1),
        "noisy control mean, + 60 %": (MEAN, arms.normal(100, 0.96, 1), arms.normal(100, 0.6, 1), 0.36, 0.6),
        "CUPED, + 60 %": (MEAN, arms.with_past(400, 1.6, 0.9), arms.with_past(400, 1, 0.9), 0.6, 0.6),
    }
    for name, (kind, treatment, control, difference, lift) in designs.items():
        found = compared(kind, treatment, control, int(REPLICATES * share))
        is_in = (found.absolute_ci_lower <= difference) & (difference <= found.absolute_ci_upper)
        yield rate(f"{name}, coverage of the difference", is_in, 0.95)
        is_in = (found.relative_ci_lower <= lift) & (lift <= found.relative_ci_upper)
        yield rate(f"{name}, coverage of the lift", is_in, 0.95)
    found = compared(PROPORTION, arms.proportion(1000, 0.008), arms.proportion(1000, 0.006), int(REPLICATES * share))
    is_in = (found.absolute_ci_lower <= 0.002) & (found.absolute_ci_upper >= 0.002)
    yield rate("0.6 % to 0.8 % of 1,000, coverage of the difference", is_in, 0.95, "least")
    has_lift = ~np.isnan(found.relative_ci_lower)
    is_in = (found.relative_ci_lower <= 1 / 3) & (found.relative_ci_upper >= 1 / 3)
    yield rate("0.6 % to 0.8 % of 1,000, coverage of the lift", is_in[has_lift], 0.95, "least")


def adjustment(share: float) -> Iterator[Check]:
    """What CUPED leaves of the variance."""
    count, users = int(REPLICATES * share), 500
    for correlation in (0.0, 0.3, 0.6, 0.9):
        arm = arms.with_past(users, 4, correlation)
        random = np.random.default_rng([SEED, int(10 * correlation)])
        pair = Comparisons.of(MEAN, arm(random, count), arm(random, count))
        found = analyse(pair)
        plain = pair.treatment.main_sum / users - pair.control.main_sum / users
        left = float(found.absolute_difference.var() / plain.var())
        # The ratio of two variances of correlated normals; with 0.0 the estimated theta alone makes it differ.
        error = 2 * max(correlation, 1 / math.sqrt(users)) * (1 - correlation**2) / math.sqrt(count)
        name = f"correlation {correlation:g}"
        rest = 1 - correlation**2
        yield Check(f"{name}, variance of the difference that is left", left, rest, _ERRORS * error + 2 / users)
        reported = float(np.mean(1 - found.variance_reduction))
        yield Check(f"{name}, reported share that is left", reported, rest, 2 / users)


def sample_ratios(share: float) -> Iterator[Check]:
    """False alarms about the split of the users."""
    count = int(SAMPLE_RATIO_REPLICATES * share)
    histories: dict[str, tuple[list[list[float]], str]] = {
        "50 to 50": ([[50, 50]], "both"),
        "90 to 10": ([[90, 10]], "both"),
        "three arms and one without allocation": ([[40, 40, 20, 0]], "both"),
        "two arms and one without allocation": ([[1, 1, 0]], "both"),
        # The chi-square of the sums takes the phases for one, and their users vary less than that.
        "ramp from 10 % to 50 %": ([[90, 10], [50, 50]], "most"),
    }
    for name, (phases, side) in histories.items():
        random = np.random.default_rng([SEED, len(phases[0])])
        rows = []
        for phase, weights in enumerate(phases):
            users = random.multinomial(20_000, np.array(weights) / sum(weights), count)
            for arm, weight in enumerate(weights):
                codes = [np.full(count, one) for one in (phase, arm)]
                rows.append((np.arange(count), *codes, users[:, arm], np.full(count, weight)))
        history = expected_users(*(np.concatenate(columns) for columns in zip(*rows, strict=True)))
        p_values = sample_ratio_p_values(history.group, history.observed, history.expected, history.unexpected).p_value
        for alpha in (0.05, 0.001):
            yield rate(f"{name}, error at {alpha:g}", p_values < alpha, alpha, side)


def planned(share: float) -> Iterator[Check]:
    """Power at the planned number of users, and the posterior when lifts come from its prior."""
    variances = planning.proportion_variance([0.1, 0.11])
    users = int(planning.required_users(variances[0], variances[1], 0.01)[0])
    count = int(REPLICATES * share)
    found = compared(PROPORTION, arms.proportion(users, 0.11), arms.proportion(users, 0.1), count)
    check = rate(f"power of {users:,} users an arm for 10 % to 11 %", found.p_value < 0.05, 0.8)
    yield Check(check.name, check.found, check.promised, check.tolerance + 0.01)

    random = np.random.default_rng([SEED, 5])
    lifts = random.normal(0, 0.1, count)
    treatment, control = arms.normal(400, 0, 1)(random, count), arms.normal(400, 10, 1)(random, count)
    shift = 10 * (1 + lifts)
    moved = treatment.main_sum + 400 * shift
    squares = treatment.main_sum_squares + 2 * shift * treatment.main_sum + 400 * shift**2
    shifted = type(treatment).of(treatment.users, moved, main_sum_squares=squares)
    for scale, unit in ((PosteriorScale.RELATIVE, 1), (PosteriorScale.ABSOLUTE, 10)):
        found = analyse(Comparisons.of(MEAN, shifted, control, prior_std_dev=0.1, posterior_scale=scale))
        truth, name = lifts * unit, scale.name.lower()
        is_in = (found.credible_interval_lower <= truth) & (truth <= found.credible_interval_upper)
        yield rate(f"lifts drawn from the prior, credible interval ({name})", is_in, 0.95)
        promised = float(found.chance_to_win.mean())
        yield rate(f"lifts drawn from the prior, mean chance to win ({name})", truth > 0, promised)


CHAPTERS: dict[str, Chapter] = {
    "One look without an effect": fixed_horizon,
    "Tails of the lift's interval without an effect, alpha 0.05": tails,
    "Daily looks without an effect, alpha 0.05": peeking,
    "Coverage of 95 % intervals with an effect": coverage,
    "CUPED": adjustment,
    "Sample ratio": sample_ratios,
    "Plan and prior": planned,
}


def main() -> int:
    """Simulate and print; the exit code is 1 when a promise is not kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--share", type=float, default=1.0, help="of the replicates")
    share = parser.parse_args().share
    designs, looks, ratios = (int(one * share) for one in (REPLICATES, PEEKING_REPLICATES, SAMPLE_RATIO_REPLICATES))
    print(f"{designs:,} replicates of each design, {looks:,} of daily looks, {ratios:,} of sample ratios;")
    print("+- is four standard errors")
    missed = 0
    for title, chapter in CHAPTERS.items():
        print(f"\n{title}")
        for check in chapter(share):
            print(check if isinstance(check, str) else check.line())
            missed += isinstance(check, Check) and not check.is_kept
    print(f"\n{missed} missed" if missed else "\nevery promise is kept")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
