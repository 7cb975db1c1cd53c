"""What the numbers of an experiment say, in words that a product manager can act on.

Pure: findings in, one verdict out. It is the first goal that decides. Who looks early is answered by the test that
is right at every look; the ordinary one counts only where the planned number of users is reached.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from ingest_api.experiments.effect_texts import Interval, effect_text, p_text


class Code(StrEnum):
    """What a verdict says, for programs."""

    NOT_STARTED = "not_started"
    NO_DATA = "no_data"
    SAMPLE_RATIO_MISMATCH = "sample_ratio_mismatch"
    UNRELIABLE = "unreliable"
    INSUFFICIENT_DATA = "insufficient_data"
    LOW_COUNTS = "low_counts"
    NOT_ENOUGH_USERS = "not_enough_users"
    GUARDRAIL_FAILED = "guardrail_failed"
    GUARDRAIL_OPEN = "guardrail_open"
    WINS = "wins"
    LOSES = "loses"
    UNDECIDED = "undecided"
    NO_DIFFERENCE = "no_difference"


_FIRST_TO_SAY = (
    Code.WINS,
    Code.GUARDRAIL_FAILED,
    Code.GUARDRAIL_OPEN,
    Code.NO_DATA,
    Code.UNRELIABLE,
    Code.UNDECIDED,
    Code.NOT_ENOUGH_USERS,
    Code.LOW_COUNTS,
    Code.INSUFFICIENT_DATA,
    Code.NO_DIFFERENCE,
    Code.LOSES,
)
"""Of several variants the one with the earliest code makes the headline: while one is open, the experiment is."""
_UNUSABLE = ("invalid_input", "missing_data", "numerically_unstable", "denominator_zero")
_LOW_COUNTS = "low_counts"
NOT_COMPUTED = "not_computed"
"""Status of a finding whose users are counted, and nothing else."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What is known of one variant by one metric, against the control."""

    metric_id: str
    metric_name: str
    variant_id: str
    variant_name: str
    users: int = 0
    control_users: int = 0
    is_rate: bool = False
    """Whether the metric is a share of the users."""
    is_increase_good: bool = True
    difference: float | None = None
    """Of the means, treatment minus control."""
    interval: Interval | None = None
    lift: float | None = None
    """The difference as a fraction of the control's mean."""
    lift_interval: Interval | None = None
    sequential_interval: Interval | None = None
    sequential_lift_interval: Interval | None = None
    is_significant: bool | None = None
    """By the ordinary test, which is right for one look at a planned moment."""
    is_significant_sequential: bool | None = None
    """By the test that is right at every look."""
    guardrail_status: str | None = None
    required_users: float | None = None
    """Of both arms, where no number was planned."""
    status: str = "ok"
    failures: tuple[str, ...] = ()
    is_reliable: bool = True

    @property
    def is_good(self) -> bool:
        """Whether the difference is in the good direction."""
        return self.difference is not None and (self.difference > 0) is self.is_increase_good and self.difference != 0

    def excludes_zero(self, *, at_any_time: bool) -> bool:
        """Whether the interval of the difference does."""
        interval = self.sequential_interval if at_any_time else self.interval
        return interval is not None and (interval[0] > 0 or interval[1] < 0)

    def measured(self, *, at_any_time: bool) -> str:
        """The effect with its interval, as a lift where there is one."""
        lift_interval = self.sequential_lift_interval if at_any_time else self.lift_interval
        interval = self.sequential_interval if at_any_time else self.interval
        return effect_text(self.lift, lift_interval, self.difference, interval, is_rate=self.is_rate)


@dataclass(frozen=True, slots=True)
class Situation:
    """What is known of the experiment as a whole."""

    has_started: bool = True
    has_ended: bool = False
    users: int = 0
    """Of all variants."""
    planned_users: int | None = None
    srm_detected: bool = False
    srm_p_value: float | None = None
    control_name: str = "the control"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A sentence, its code, and the variant that it is about, if it is about one."""

    code: Code
    text: str
    variant_id: str | None = None


def verdict_of(situation: Situation, goals: Sequence[Finding], guardrails: Iterable[Finding]) -> Verdict:
    """The verdict on an experiment.

    Args:
        situation: of the experiment.
        goals: of the metric that decides, one for each variant but the control.
        guardrails: of each guardrail and variant.
    """
    if not situation.has_started and not situation.users:
        return Verdict(Code.NOT_STARTED, "Not started: there is nothing to read yet")
    if not situation.users:
        return Verdict(Code.NO_DATA, "No users yet: nobody was exposed, or the results were not computed since")
    if not goals:
        return Verdict(Code.NO_DATA, "Nothing to decide by: no result of a metric that is a goal")
    if mismatch := _mismatch(situation):
        return mismatch
    watched = list(guardrails)
    verdicts = [_guarded(situation, one, watched) for one in goals]
    code = next(code for code in _FIRST_TO_SAY if any(one.code is code for one in verdicts))
    found = [(verdict, goal) for verdict, goal in zip(verdicts, goals, strict=True) if verdict.code is code]
    # Of several winners the one with the largest effect, of several losers too.
    return max(found, key=lambda one: abs(one[1].difference or 0.0))[0]


def judged(situation: Situation, finding: Finding) -> Verdict:
    """The verdict on one variant by one metric alone; guardrails have words of their own."""
    if mismatch := _mismatch(situation):
        return mismatch
    if problem := _problem(finding):
        return problem
    if finding.guardrail_status is not None:
        return _of_guardrail(finding)
    is_planned = situation.planned_users is not None
    is_reached = situation.planned_users is not None and situation.users >= situation.planned_users
    if finding.is_significant_sequential:
        return _decided(finding, situation, at_any_time=True)
    if is_reached and finding.is_significant:
        return _decided(finding, situation, at_any_time=False)
    if is_reached:
        return _undetected(finding, at_any_time=False)
    needed = situation.planned_users if is_planned else finding.required_users
    users = situation.users if is_planned else finding.users + finding.control_users
    if needed is not None and users < needed:
        words = "Ended with too few users" if situation.has_ended else "Not enough users yet"
        return Verdict(Code.NOT_ENOUGH_USERS, f"{words}: {users:,} of {round(needed):,}", finding.variant_id)
    if needed is None:
        text = f"Undecided: how many users it takes cannot be told; so far {finding.measured(at_any_time=True)}"
        return Verdict(Code.UNDECIDED, text, finding.variant_id)
    if finding.is_significant:
        leaning = "looks better" if finding.is_good else "looks worse"
        text = (
            f"Undecided: {finding.variant_name} {leaning}, {finding.measured(at_any_time=True)}, but not beyond doubt "
            "while the end is not planned; let it run on"
        )
        return Verdict(Code.UNDECIDED, text, finding.variant_id)
    return _undetected(finding, at_any_time=True)


def _mismatch(situation: Situation) -> Verdict | None:
    if not situation.srm_detected:
        return None
    p_value = "" if situation.srm_p_value is None else f" (p = {p_text(situation.srm_p_value)})"
    return Verdict(Code.SAMPLE_RATIO_MISMATCH, f"Sample ratio mismatch: do not read the result{p_value}")


def _problem(finding: Finding) -> Verdict | None:
    """Why no decision can rest on the numbers, if none can."""
    if finding.status == NOT_COMPUTED:
        text = "Not computed yet: the next run of the results job does it, or a refresh"
        return Verdict(Code.NO_DATA, text, finding.variant_id)
    if finding.status == "insufficient_data":
        text = f"Too few users yet: {finding.variant_name} has {finding.users:,}, the control {finding.control_users:,}"
        return Verdict(Code.INSUFFICIENT_DATA, text, finding.variant_id)
    if finding.status in _UNUSABLE:
        text = f"The numbers of {finding.metric_name} cannot be used: {finding.status.replace('_', ' ')}"
        return Verdict(Code.UNRELIABLE, text, finding.variant_id)
    if finding.status == "zero_variance":
        text = f"Nothing to tell apart yet: all users have the same {finding.metric_name}"
        return Verdict(Code.INSUFFICIENT_DATA, text, finding.variant_id)
    if _LOW_COUNTS in finding.failures:
        text = f"Too little happened for a decision yet: {finding.metric_name} is rare among the users so far"
        return Verdict(Code.LOW_COUNTS, text, finding.variant_id)
    if not finding.is_reliable:
        reasons = ", ".join(one.replace("_", " ") for one in finding.failures)
        text = f"Do not decide on this result{f': {reasons}' if reasons else ''}"
        return Verdict(Code.UNRELIABLE, text, finding.variant_id)
    return None


def _decided(finding: Finding, situation: Situation, *, at_any_time: bool) -> Verdict:
    when = "valid at any time" if at_any_time else "at the planned number of users"
    verb = "wins" if finding.is_good else "loses"
    text = f"{finding.variant_name} {verb}: {finding.measured(at_any_time=at_any_time)}, {when}"
    if not finding.is_good:
        text += f"; keep {situation.control_name}"
    return Verdict(Code.WINS if finding.is_good else Code.LOSES, text, finding.variant_id)


def _undetected(finding: Finding, *, at_any_time: bool) -> Verdict:
    when = "valid at any time" if at_any_time else "at the planned number of users"
    # Intervals are not corrected for how many comparisons are made, decisions are.
    among = " among so many comparisons" if finding.excludes_zero(at_any_time=at_any_time) else ""
    effect = finding.measured(at_any_time=at_any_time)
    text = f"No difference found{among}: {finding.variant_name} {effect}, {when}"
    return Verdict(Code.NO_DIFFERENCE, text, finding.variant_id)


def _of_guardrail(finding: Finding) -> Verdict:
    name, effect = f"{finding.metric_name} of {finding.variant_name}", finding.measured(at_any_time=False)
    if finding.guardrail_status == "failed":
        return Verdict(Code.GUARDRAIL_FAILED, f"Guardrail failed: {name} {effect}", finding.variant_id)
    if finding.guardrail_status == "passed":
        text = f"Guardrail holds: {name} {effect}, not worse than the margin allows"
        return Verdict(Code.NO_DIFFERENCE, text, finding.variant_id)
    return Verdict(Code.GUARDRAIL_OPEN, f"Guardrail not settled yet: {name} {effect}", finding.variant_id)


def _guarded(situation: Situation, goal: Finding, guardrails: Sequence[Finding]) -> Verdict:
    """The verdict on a variant that must not harm: one that fails a guardrail has failed, whatever it wins."""
    own = [(one, judged(situation, one)) for one in guardrails if one.variant_id == goal.variant_id]
    failed = next((verdict for _, verdict in own if verdict.code is Code.GUARDRAIL_FAILED), None)
    if failed is not None:
        return failed
    verdict = judged(situation, goal)
    unsettled = [one.metric_name for one, guardrail in own if guardrail.code is not Code.NO_DIFFERENCE]
    if verdict.code is Code.WINS and unsettled:
        effect = goal.measured(at_any_time=bool(goal.is_significant_sequential))
        text = f"{goal.variant_name} is ahead: {effect}, but not settled yet: guardrail {', '.join(unsettled)}"
        return Verdict(Code.GUARDRAIL_OPEN, text, goal.variant_id)
    return verdict
