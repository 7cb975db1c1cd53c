"""What numbers say, in words."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest_api.experiments.verdict import NOT_COMPUTED, Code, Finding, Situation, Verdict, judged, verdict_of

GOAL = Finding(
    metric_id="conversion",
    metric_name="Conversion Rate",
    variant_id="new",
    variant_name="New Design",
    users=10_000,
    control_users=10_000,
    is_rate=True,
    difference=0.0041,
    interval=(0.0015, 0.0067),
    lift=0.041,
    lift_interval=(0.015, 0.067),
    sequential_interval=(0.0012, 0.0070),
    sequential_lift_interval=(0.012, 0.07),
    is_significant=True,
    is_significant_sequential=True,
    required_users=14_700,
)
REFUNDS = Finding(
    metric_id="refunds",
    metric_name="Refunds",
    variant_id="new",
    variant_name="New Design",
    users=10_000,
    control_users=10_000,
    is_increase_good=False,
    difference=0.02,
    interval=(-0.01, 0.05),
    lift=0.1,
    lift_interval=(-0.05, 0.25),
    guardrail_status="passed",
)
OPEN = replace(
    GOAL,
    is_significant=False,
    is_significant_sequential=False,
    lift=0.004,
    difference=0.0004,
    lift_interval=(-0.02, 0.03),
    interval=(-0.002, 0.003),
    sequential_lift_interval=(-0.05, 0.06),
    sequential_interval=(-0.005, 0.006),
)
ALL = Situation(users=20_000, control_name="Control")


def verdict(*goals: Finding, guardrails: tuple[Finding, ...] = (), **situation: Any) -> Verdict:
    return verdict_of(replace(ALL, **situation), goals or (GOAL,), guardrails)


def test_win_is_told_with_the_interval_that_holds_at_every_look() -> None:
    found = verdict()

    assert found == Verdict(Code.WINS, "New Design wins: +4.1 % (+1.2 % to +7.0 %), valid at any time", "new")


def test_loss_says_what_to_keep() -> None:
    worse = replace(GOAL, difference=-0.0041, lift=-0.041, sequential_lift_interval=(-0.07, -0.012))

    found = verdict(worse)

    assert found.code is Code.LOSES
    assert found.text == "New Design loses: -4.1 % (-7.0 % to -1.2 %), valid at any time; keep Control"


def test_less_is_better_where_the_metric_says_so() -> None:
    fewer = replace(
        GOAL, is_increase_good=False, difference=-0.0041, lift=-0.041, sequential_lift_interval=(-0.07, -0.012)
    )

    assert verdict(fewer).text.startswith("New Design wins: -4.1 %")
    assert verdict(replace(GOAL, is_increase_good=False)).code is Code.LOSES


def test_sample_ratio_mismatch_silences_everything() -> None:
    found = verdict(srm_detected=True, srm_p_value=1e-9)

    assert found == Verdict(
        Code.SAMPLE_RATIO_MISMATCH, "Sample ratio mismatch: do not read the result (p = 1e-09)", None
    )
    assert verdict(srm_detected=True).text == "Sample ratio mismatch: do not read the result"
    assert judged(replace(ALL, srm_detected=True), GOAL).code is Code.SAMPLE_RATIO_MISMATCH


def test_too_few_users_are_counted_against_the_plan() -> None:
    found = verdict(OPEN, users=3200, planned_users=14_700)

    assert found == Verdict(Code.NOT_ENOUGH_USERS, "Not enough users yet: 3,200 of 14,700", "new")


def test_too_few_users_are_counted_against_what_it_takes_without_a_plan() -> None:
    found = verdict(replace(OPEN, users=1600, control_users=1600), users=4800)

    assert found.text == "Not enough users yet: 3,200 of 14,700"


def test_experiment_that_ended_early_has_not_enough_users_for_good() -> None:
    found = verdict(OPEN, users=3200, planned_users=14_700, has_ended=True)

    assert found.text == "Ended with too few users: 3,200 of 14,700"


def test_effect_beyond_doubt_needs_no_more_users() -> None:
    assert verdict(users=3200, planned_users=14_700).code is Code.WINS


def test_ordinary_test_counts_when_the_plan_is_reached() -> None:
    fixed = replace(GOAL, is_significant_sequential=False)

    early = verdict(fixed, users=19_999, planned_users=20_000)
    reached = verdict(fixed, users=20_000, planned_users=20_000)

    assert early.code is Code.NOT_ENOUGH_USERS
    assert reached.code is Code.WINS
    assert reached.text == "New Design wins: +4.1 % (+1.5 % to +6.7 %), at the planned number of users"


def test_ordinary_test_alone_decides_nothing_without_a_plan() -> None:
    found = verdict(replace(GOAL, is_significant_sequential=False, sequential_lift_interval=(-0.01, 0.092)))

    assert found.code is Code.UNDECIDED
    assert found.text.startswith("Undecided: New Design looks better, +4.1 % (-1.0 % to +9.2 %)")


def test_no_difference_is_told_with_how_large_it_could_be() -> None:
    planned = verdict(OPEN, planned_users=20_000)
    unplanned = verdict(OPEN)

    assert planned.text == "No difference found: New Design +0.4 % (-2.0 % to +3.0 %), at the planned number of users"
    assert unplanned.text == "No difference found: New Design +0.4 % (-5.0 % to +6.0 %), valid at any time"
    assert planned.code is unplanned.code is Code.NO_DIFFERENCE


def test_interval_that_excludes_zero_is_no_win_among_many_comparisons() -> None:
    found = verdict(replace(GOAL, is_significant=False, is_significant_sequential=False))

    assert found.code is Code.NO_DIFFERENCE
    assert found.text.startswith("No difference found among so many comparisons: New Design +4.1 %")


def test_no_number_to_wait_for_is_no_decision() -> None:
    assert verdict(replace(OPEN, required_users=None)).code is Code.UNDECIDED


def test_failed_guardrail_beats_a_win() -> None:
    found = verdict(guardrails=(replace(REFUNDS, guardrail_status="failed"),))

    assert found.code is Code.GUARDRAIL_FAILED
    assert found.text == "Guardrail failed: Refunds of New Design +10.0 % (-5.0 % to +25.0 %)"


def test_guardrail_that_is_not_settled_holds_a_win_back() -> None:
    found = verdict(guardrails=(replace(REFUNDS, guardrail_status="inconclusive"),))

    assert found.code is Code.GUARDRAIL_OPEN
    assert found.text == ("New Design is ahead: +4.1 % (+1.2 % to +7.0 %), but not settled yet: guardrail Refunds")


def test_guardrail_that_holds_says_nothing() -> None:
    assert verdict(guardrails=(REFUNDS,)).code is Code.WINS
    assert judged(ALL, REFUNDS).text.startswith("Guardrail holds: Refunds of New Design")


def test_guardrail_of_another_variant_is_its_own_business() -> None:
    other = replace(REFUNDS, variant_id="third", guardrail_status="failed")

    assert verdict(guardrails=(other,)).code is Code.WINS


def test_guardrail_with_low_counts_has_not_failed_yet() -> None:
    early = replace(REFUNDS, guardrail_status="failed", failures=("low_counts",))

    assert verdict(guardrails=(early,)).code is Code.GUARDRAIL_OPEN


@pytest.mark.parametrize(
    ("members", "code", "said"),
    [
        ({"failures": ("low_counts",)}, Code.LOW_COUNTS, "Conversion Rate is rare"),
        ({"status": "insufficient_data", "users": 1}, Code.INSUFFICIENT_DATA, "New Design has 1, the control 10,000"),
        ({"status": "zero_variance"}, Code.INSUFFICIENT_DATA, "all users have the same"),
        ({"status": "invalid_input"}, Code.UNRELIABLE, "invalid input"),
        ({"status": "numerically_unstable"}, Code.UNRELIABLE, "numerically unstable"),
        ({"is_reliable": False, "failures": ("invalid_covariate",)}, Code.UNRELIABLE, "invalid covariate"),
        ({"is_reliable": False}, Code.UNRELIABLE, "Do not decide on this result"),
        ({"status": NOT_COMPUTED}, Code.NO_DATA, "Not computed yet"),
    ],
)
def test_numbers_that_carry_no_decision_get_none(members: dict[str, Any], code: Code, said: str) -> None:
    found = verdict(replace(GOAL, **members))

    assert found.code is code
    assert said in found.text


def test_baseline_of_zero_leaves_the_difference() -> None:
    found = verdict(
        replace(
            GOAL,
            status="baseline_zero",
            lift=None,
            lift_interval=None,
            sequential_lift_interval=None,
        )
    )

    assert found.code is Code.WINS
    assert "+0.4 percentage points" in found.text


def test_nothing_is_said_before_there_is_something() -> None:
    draft = verdict_of(Situation(has_started=False), [], [])
    empty = verdict_of(Situation(), [], [])
    without_goal = verdict_of(ALL, [], [REFUNDS])

    assert draft.text == "Not started: there is nothing to read yet"
    assert empty.code is without_goal.code is Code.NO_DATA
    assert "goal" in without_goal.text


def test_best_of_several_winners_makes_the_headline() -> None:
    better = replace(GOAL, variant_id="third", variant_name="Third", difference=0.009, lift=0.09)

    assert verdict(GOAL, better).variant_id == "third"
    assert verdict(GOAL, replace(better, is_significant_sequential=False), OPEN).variant_id == "new"


def test_experiment_is_open_while_one_of_its_variants_is() -> None:
    loser = replace(GOAL, variant_id="third", difference=-0.01, lift=-0.1)
    waiting = replace(OPEN, users=100, control_users=100)

    assert verdict(loser, waiting).code is Code.NOT_ENOUGH_USERS
    assert verdict(loser, OPEN).code is Code.NO_DIFFERENCE
    assert verdict(loser).code is Code.LOSES


def optional_number() -> st.SearchStrategy[float | None]:
    return st.none() | st.floats(-1e6, 1e6)


def bounds() -> st.SearchStrategy[tuple[float, float] | None]:
    return st.none() | st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))


@given(
    goals=st.lists(
        st.builds(
            Finding,
            metric_id=st.just("m"),
            metric_name=st.just("M"),
            variant_id=st.sampled_from(["a", "b"]),
            variant_name=st.just("V"),
            users=st.integers(0, 10**9),
            control_users=st.integers(0, 10**9),
            difference=optional_number(),
            interval=bounds(),
            lift=optional_number(),
            lift_interval=bounds(),
            sequential_interval=bounds(),
            sequential_lift_interval=bounds(),
            is_significant=st.none() | st.booleans(),
            is_significant_sequential=st.none() | st.booleans(),
            guardrail_status=st.none(),
            required_users=st.none() | st.floats(1, 1e12),
            status=st.sampled_from(["ok", "baseline_zero", "zero_variance", "insufficient_data", "invalid_input"]),
            failures=st.sampled_from([(), ("low_counts",)]),
            is_reliable=st.booleans(),
        ),
        max_size=3,
    ),
    users=st.integers(0, 10**9),
    planned=st.none() | st.integers(2, 10**9),
    mismatch=st.booleans(),
)
def test_nobody_wins_without_a_significant_effect_that_can_be_relied_on(
    goals: list[Finding], users: int, planned: int | None, mismatch: bool
) -> None:
    found = verdict_of(Situation(users=users, planned_users=planned, srm_detected=mismatch), goals, [])

    assert found.text
    if found.code is Code.WINS:
        assert not mismatch
        assert any(
            one.variant_id == found.variant_id
            and one.is_reliable
            and not one.failures
            and (one.is_significant_sequential or (one.is_significant and planned is not None and users >= planned))
            for one in goals
        )
