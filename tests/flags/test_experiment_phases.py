"""The way of an experiment from draft to decision, and its phases."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from flags.experiment_codec import decode_experiment, encode_experiment
from flags.experiment_model import Decision, Experiment, Phase
from flags.experiment_phases import MAX_PHASES, StatusForbids, changed, created, moved
from flags.problems import DefinitionInvalid
from tests.flags.experiments_given import NOW, TWO_VARIANTS, experiment

LATER, LATEST = NOW + timedelta(hours=1), NOW + timedelta(hours=2)
HALVES = {"control": 0.5, "new": 0.5}
STEPS = ("start", "pause", "resume", "complete", "archive")
ALLOWED = {
    "draft": {"start": "running", "archive": "archived"},
    "running": {"pause": "paused", "complete": "completed"},
    "paused": {"resume": "running", "complete": "completed", "archive": "archived"},
    "completed": {"complete": "completed", "archive": "archived"},
    "archived": {},
}


def running(**members: Any) -> Experiment:
    return created(experiment(status="running", **members), NOW)


def with_status(status: str) -> Experiment:
    """One that came to this status the usual way."""
    ways = {
        "draft": [],
        "running": ["start"],
        "paused": ["start", "pause"],
        "completed": ["start", "complete"],
        "archived": ["archive"],
    }
    found = created(experiment(), NOW)
    for step in ways[status]:
        found = moved(found, step, LATER)
    return found


def allocated(one: Experiment, *allocations: float) -> Experiment:
    variants = (replace(variant, allocation=share) for variant, share in zip(one.variants, allocations, strict=True))
    return replace(one, variants=tuple(variants))


@pytest.mark.parametrize("status", ALLOWED)
@pytest.mark.parametrize("step", STEPS)
def test_steps_lead_where_they_may(status: str, step: str) -> None:
    before = with_status(status)

    if step in ALLOWED[status]:
        assert moved(before, step, LATEST).status == ALLOWED[status][step]
    else:
        with pytest.raises(StatusForbids, match=rf"prices is {status}: "):
            moved(before, step, LATEST)


def test_running_experiment_has_a_phase_from_its_creation_on() -> None:
    found = running()

    assert found.phases == (Phase(NOW, HALVES),)
    assert found.started_at == NOW


def test_draft_has_no_phase_until_it_starts() -> None:
    draft = created(experiment(coverage=0.2), NOW)

    started = moved(draft, "start", LATER)

    assert (draft.phases, draft.started_at) == ((), None)
    assert started.phases == (Phase(LATER, HALVES, 0.2),)
    assert started.started_at == LATER


def test_pause_closes_the_phase_and_resume_opens_another() -> None:
    paused = moved(running(), "pause", LATER)

    resumed = moved(allocated(paused, 1, 3), "resume", LATEST)

    assert paused.phases == (Phase(NOW, HALVES, 1, LATER),)
    assert resumed.phases == (*paused.phases, Phase(LATEST, {"control": 0.25, "new": 0.75}))
    assert resumed.started_at == NOW


def test_completion_keeps_the_decision_and_its_time() -> None:
    decision = Decision("new", "It sells", "ann", LATER)

    found = moved(running(), "complete", LATER, decision)

    assert (found.decision, found.ended_at) == (decision, LATER)
    assert found.phases[-1].ended_at == LATER


def test_decision_can_be_revised_and_the_end_stays() -> None:
    first = moved(running(), "complete", LATER, Decision("new", "", "ann", LATER))

    second = moved(first, "complete", LATEST, Decision(None, "It broke", "bob", LATEST))

    assert second.decision.variant_id is None
    assert second.ended_at == LATER


def test_decision_for_an_unknown_variant_is_refused() -> None:
    with pytest.raises(DefinitionInvalid, match="there are control, new"):
        moved(running(), "complete", LATER, Decision("old", "", "ann", LATER))


def test_start_without_a_metric_is_refused() -> None:
    with pytest.raises(DefinitionInvalid, match="needs a metric"):
        moved(experiment(metrics=[]), "start", NOW)


def test_archiving_what_ran_ends_it() -> None:
    ran = moved(moved(running(), "pause", LATER), "archive", LATEST)
    never_ran = moved(experiment(), "archive", LATEST)

    assert (ran.ended_at, never_ran.ended_at) == (LATEST, None)


@pytest.mark.parametrize(
    "members",
    [
        {"coverage": 0.5},
        {"conditions": [{"attribute": "plan", "operator": "equals", "value": "pro"}]},
        {"namespace": ["shop", 0, 0.5]},
        {"variants": [{**TWO_VARIANTS[0], "allocation": 9}, {**TWO_VARIANTS[1], "allocation": 1}]},
    ],
)
def test_another_assignment_opens_a_phase(members: dict[str, Any]) -> None:
    stored = running()
    wanted = decode_experiment(encode_experiment(stored) | members)

    found = changed(stored, wanted, LATER)

    assert [(one.started_at, one.ended_at) for one in found.phases] == [(NOW, LATER), (LATER, None)]
    assert found.phases[1].allocations == found.shares()
    assert found.phases[1].coverage == found.coverage


def test_equal_shares_in_other_numbers_are_no_other_assignment() -> None:
    stored = running()

    found = changed(stored, allocated(stored, 50, 50), LATER)

    assert found.phases == stored.phases


def test_words_and_metrics_change_while_it_runs() -> None:
    stored = running()
    wanted = replace(stored, name="Other", hypothesis="h", metrics=(), segments=("country",))

    assert changed(stored, wanted, LATER) == wanted


def test_allocations_of_a_paused_experiment_wait_for_its_resumption() -> None:
    stored = moved(running(), "pause", LATER)

    assert changed(stored, allocated(stored, 1, 3), LATEST).phases == stored.phases


@pytest.mark.parametrize(
    "variants",
    [
        [*TWO_VARIANTS, {"id": "third"}],
        [TWO_VARIANTS[1], TWO_VARIANTS[0]],
        [TWO_VARIANTS[0], {"id": "newer", "name": "New"}],
        [TWO_VARIANTS[0], {**TWO_VARIANTS[1], "config": {"price": 1}}],
        [{**TWO_VARIANTS[0], "isControl": False}, {**TWO_VARIANTS[1], "isControl": True}],
    ],
)
@pytest.mark.parametrize("status", ["running", "paused", "completed"])
def test_variants_stay_once_users_have_seen_them(status: str, variants: list[dict[str, Any]]) -> None:
    stored = with_status(status)

    with pytest.raises(StatusForbids, match="its variants cannot be"):
        changed(stored, replace(stored, variants=experiment(variants=variants).variants), LATEST)


def test_true_and_one_are_different_configurations() -> None:
    stored = running(variants=[TWO_VARIANTS[0], {**TWO_VARIANTS[1], "config": {"on": 1, "x": 2}}])
    others = [{"on": True, "x": 2}, {"x": 2, "on": 1}]
    wanted = [replace(stored, variants=(stored.variants[0], replace(stored.variants[1], config=one))) for one in others]

    assert changed(stored, wanted[1], LATER) == wanted[1]
    with pytest.raises(StatusForbids):
        changed(stored, wanted[0], LATER)


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"seed": "x"}, "shuffle"),
        ({"hash_attribute": "company"}, "hashAttribute"),
        ({"planned_users": 9}, "plannedUsers"),
    ],
)
def test_plan_and_hash_are_fixed_before_the_start(members: dict[str, Any], said: str) -> None:
    stored = running()

    assert changed(experiment(), replace(experiment(), **members), NOW)
    with pytest.raises(StatusForbids, match=said):
        changed(stored, replace(stored, **members), LATER)


def test_nothing_is_assigned_after_the_end() -> None:
    completed, archived = with_status("completed"), with_status("archived")

    assert changed(completed, replace(completed, name="Told better"), LATEST).name == "Told better"
    with pytest.raises(StatusForbids, match="nobody is assigned"):
        changed(completed, allocated(completed, 1, 3), LATEST)
    with pytest.raises(StatusForbids, match="stays as it is"):
        changed(archived, replace(archived, name="x"), LATEST)


@pytest.mark.parametrize(
    ("members", "field"),
    [
        ({"status": "paused"}, "status"),
        ({"phases": ()}, "phases"),
        ({"started_at": LATER}, "startedAt"),
        ({"ended_at": LATER}, "endedAt"),
        ({"decision": Decision("new", "", "ann", NOW)}, "decision"),
    ],
)
def test_what_the_service_keeps_is_not_edited(members: dict[str, Any], field: str) -> None:
    stored = running()

    with pytest.raises(DefinitionInvalid) as refused:
        changed(stored, replace(stored, **members), LATER)

    assert [one.field for one in refused.value.problems] == [field]


def test_experiment_that_ran_elsewhere_keeps_its_times() -> None:
    begun, ended = NOW - timedelta(days=9), NOW - timedelta(days=2)

    going_on = created(replace(experiment(status="running"), started_at=begun), NOW)
    over = created(replace(experiment(status="completed"), started_at=begun, ended_at=ended), NOW)
    paused = created(replace(experiment(status="paused"), started_at=begun), NOW)

    assert going_on.phases == (Phase(begun, HALVES),)
    assert over.phases == (Phase(begun, HALVES, 1, ended),)
    assert (over.started_at, over.ended_at) == (begun, ended)
    assert (paused.phases[0].ended_at, paused.ended_at) == (NOW, None)


@pytest.mark.parametrize(
    ("status", "members", "field"),
    [
        ("running", {"started_at": NOW + timedelta(days=1)}, "startedAt"),
        ("draft", {"started_at": NOW}, "startedAt"),
        ("running", {"ended_at": NOW}, "endedAt"),
        ("completed", {"started_at": NOW, "ended_at": NOW - timedelta(days=1)}, "endedAt"),
        ("running", {"phases": (Phase(NOW, HALVES),)}, "phases"),
        ("completed", {"decision": Decision("new", "", "ann", NOW)}, "decision"),
    ],
)
def test_creation_refuses_what_cannot_be(status: str, members: dict[str, Any], field: str) -> None:
    with pytest.raises(DefinitionInvalid) as refused:
        created(replace(experiment(status=status), **members), NOW)

    assert field in {one.field for one in refused.value.problems}


def test_phases_are_bounded() -> None:
    stored = replace(running(), phases=(Phase(NOW, HALVES),) * MAX_PHASES)

    with pytest.raises(StatusForbids, match="phases"):
        changed(stored, allocated(stored, 1, 3), LATER)
