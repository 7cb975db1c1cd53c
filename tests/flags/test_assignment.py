"""Which variant a user gets."""

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from growthbook import Experiment as SdkExperiment
from growthbook import GrowthBook

from flags.assignment import AssignmentReason, compile_assignment, specification_of
from flags.experiment_model import Decision, Experiment
from flags.experiment_phases import created, moved
from flags.ruleset import user_of
from tests.flags.experiments_given import NOW, experiment

USERS = [f"user-{one}" for one in range(4000)]
THREE = [
    {"id": "control", "allocation": 5, "isControl": True},
    {"id": "b", "allocation": 3},
    {"id": "c", "allocation": 2},
]


def running(**members: Any) -> Experiment:
    return created(experiment(status="running", **members), NOW)


def variants_of(one: Experiment, users: list[str] = USERS) -> dict[str, str | None]:
    """By user; None for those who are not in it."""
    assign = compile_assignment(one)
    answers = {user: assign(user_of(user)) for user in users}
    return {user: answer.variant.id if answer.is_in_experiment else None for user, answer in answers.items()}


def test_shares_are_the_allocations() -> None:
    counts = Counter(variants_of(running(variants=THREE)).values())

    # Five standard errors of a share of 4,000 users are at most 0.04.
    assert {one: count / len(USERS) for one, count in counts.items()} == pytest.approx(
        {"control": 0.5, "b": 0.3, "c": 0.2}, abs=0.04
    )


def test_sdk_of_growthbook_assigns_alike() -> None:
    one = running(variants=THREE, coverage=0.7, namespace=["shop", 0.1, 0.9], seed="other")
    document = specification_of(one)
    sdk = SdkExperiment(
        **{name: value for name, value in document.items() if name not in ("disableStickyBucketing",)},
    )

    said = {}
    for user in USERS[:500]:
        result = GrowthBook(attributes={"id": user}).run(sdk)
        said[user] = result.value if result.inExperiment else None

    assert variants_of(one, USERS[:500]) == said
    assert len(set(said.values())) == 4


def test_assignment_is_the_same_in_every_process() -> None:
    assert [variants_of(running(variants=THREE))[user] for user in USERS[:6]] == ["b", "b", "c", "b", "b", "c"]


def test_coverage_moves_nobody() -> None:
    few, more = (variants_of(running(variants=THREE, coverage=share)) for share in (0.1, 0.6))

    assert 0.07 < sum(one is not None for one in few.values()) / len(USERS) < 0.13
    assert all(more[user] == variant for user, variant in few.items() if variant is not None)


def test_ranges_of_a_namespace_share_nobody() -> None:
    left = variants_of(running(id="left", namespace=["shop", 0, 0.5]))
    right = variants_of(running(id="right", namespace=["shop", 0.5, 1]))

    assert all((left[user] is None) is not (right[user] is None) for user in USERS)


def test_another_seed_shuffles_users() -> None:
    one, other = variants_of(running()), variants_of(running(seed="other"))

    assert 0.45 < sum(one[user] == other[user] for user in USERS) / len(USERS) < 0.55


def test_users_outside_get_the_control_and_a_reason() -> None:
    pro = [{"attribute": "plan", "operator": "equals", "value": "pro"}]
    targeted, nobody = running(conditions=pro), running(coverage=0)
    by_company = running(hashAttribute="company")

    answers = [
        compile_assignment(targeted)(user_of("ann", {"plan": "free"})),
        compile_assignment(targeted)(user_of("ann", {"plan": "pro"})),
        compile_assignment(nobody)(user_of("ann")),
        compile_assignment(by_company)(user_of("ann")),
        compile_assignment(by_company)(user_of("ann", {"company": "acme"})),
    ]

    assert [one.reason for one in answers] == [
        AssignmentReason.NOT_TARGETED,
        AssignmentReason.ASSIGNED,
        AssignmentReason.NOT_COVERED,
        AssignmentReason.NOT_IDENTIFIED,
        AssignmentReason.ASSIGNED,
    ]
    assert all(one.variant.id == "control" for one in answers if not one.is_in_experiment)


def test_hash_attribute_keeps_a_company_together() -> None:
    assign = compile_assignment(running(hashAttribute="company"))

    assert len({assign(user_of(user, {"company": "acme"})).variant.id for user in USERS[:50]}) == 1


@pytest.mark.parametrize(
    ("steps", "reason"),
    [
        ([], AssignmentReason.NOT_STARTED),
        (["start", "pause"], AssignmentReason.PAUSED),
        (["start", "complete"], AssignmentReason.COMPLETED),
        (["archive"], AssignmentReason.ARCHIVED),
    ],
)
def test_experiment_that_does_not_run_answers_the_control(steps: list[str], reason: AssignmentReason) -> None:
    one = created(experiment(), NOW)
    for step in steps:
        one = moved(one, step, NOW)

    answers = [compile_assignment(one)(user_of(user)) for user in USERS[:50]]

    assert {(answer.variant.id, answer.reason, answer.is_in_experiment) for answer in answers} == {
        ("control", reason, False)
    }


def test_completed_experiment_answers_what_was_decided_for() -> None:
    done = moved(running(), "complete", NOW, Decision("new", "", "ann", NOW))

    answer = compile_assignment(done)(user_of("ann"))

    assert (answer.variant.id, answer.reason, answer.is_in_experiment) == ("new", AssignmentReason.COMPLETED, False)
    assert compile_assignment(replace(done, status="archived"))(user_of("ann")).variant.id == "new"


def test_answer_carries_the_configuration() -> None:
    one = running(
        variants=[
            {"id": "control", "name": "Old", "isControl": True, "config": {"a": 1}, "allocation": 1},
            {"id": "new", "allocation": 0},
        ]
    )

    assert compile_assignment(one)(user_of("ann")).document(one) == {
        "experimentId": "prices",
        "variantId": "control",
        "variantName": "Old",
        "config": {"a": 1},
        "isControl": True,
        "inExperiment": True,
        "reason": "ASSIGNED",
    }
