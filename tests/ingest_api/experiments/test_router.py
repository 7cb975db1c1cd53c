"""Definitions of experiments over HTTP: the customer's body, every step, and what is refused."""

from typing import Any

import pytest
from redis import Redis

from ingest_api.auth.roles import Role
from tests.flags.experiments_given import CUSTOMERS_TEST, SIGNUP, TWO_VARIANTS, document
from tests.ingest_api.conftest import Api
from tests.ingest_api.experiments.conftest import FLAGS, TESTS
from tests.ingest_api.experiments.experiments_made import created, step
from tests.ingest_api.serving import bearer, seconds_until, token_for, write_key_for
from tests.ingest_api.test_errors import assert_problem


def test_customers_body_starts_an_experiment(experiments: Api) -> None:
    answer = experiments.client.post(TESTS, json=CUSTOMERS_TEST)

    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert made == experiments.client.get(f"{TESTS}/homepage-redesign").json()
    assert (made["id"], made["status"], made["createdBy"], made["updatedBy"]) == (
        "homepage-redesign",
        "running",
        "admin",
        "alice",
    )
    assert [one["allocation"] for one in made["variants"]] == [50, 50]
    [phase] = made["phases"]
    assert phase["allocations"] == {"control": 0.5, "variant_a": 0.5}
    assert (phase["startedAt"], phase["endedAt"]) == (made["startedAt"], None)


def test_list_has_them_by_id_and_status_in_pages(experiments: Api) -> None:
    for key in ("c", "a", "b"):
        created(experiments.client, key, status="draft" if key == "b" else "running")

    whole = experiments.client.get(TESTS).json()
    first = experiments.client.get(TESTS, params={"limit": 2}).json()
    second = experiments.client.get(TESTS, params={"limit": 2, "cursor": first["nextCursor"]}).json()
    drafts = experiments.client.get(TESTS, params={"status": "draft"}).json()

    assert [one["id"] for one in whole["items"]] == ["a", "b", "c"]
    assert [one["id"] for one in first["items"] + second["items"]] == ["a", "b", "c"]
    assert second["nextCursor"] is None
    assert [one["id"] for one in drafts["items"]] == ["b"]


def test_second_one_of_an_id_is_a_conflict(experiments: Api) -> None:
    created(experiments.client)

    answer = experiments.client.post(TESTS, json=document())

    assert_problem(answer, 409, "key_taken")


def test_way_from_draft_to_decision_is_kept_whole(experiments: Api) -> None:
    created(experiments.client, "whole", status="draft")

    started = step(experiments.client, "whole", "start", comment="go")
    paused = step(experiments.client, "whole", "pause")
    resumed = step(experiments.client, "whole", "resume")
    done = step(experiments.client, "whole", "complete", variantId="new", comment="It sells", version=4)
    archived = step(experiments.client, "whole", "archive")

    statuses = [one["status"] for one in (started, paused, resumed, done, archived)]
    assert statuses == ["running", "paused", "running", "completed", "archived"]
    assert [one["endedAt"] is None for one in resumed["phases"]] == [False, True]
    decision = done["decision"]
    assert (decision["variantId"], decision["comment"], decision["decidedBy"]) == ("new", "It sells", "alice")
    assert done["endedAt"] == decision["decidedAt"] == done["phases"][1]["endedAt"]
    history = experiments.client.get(f"{TESTS}/whole/history").json()["items"]
    assert [(one["action"], one["comment"]) for one in history] == [
        ("archived", ""),
        ("completed", "It sells"),
        ("resumed", ""),
        ("paused", ""),
        ("started", "go"),
        ("created", ""),
    ]
    assert history[0]["after"] == archived


def test_other_allocations_open_a_phase_while_it_runs(experiments: Api) -> None:
    version = created(experiments.client)["version"]
    variants = [{**one, "allocation": share} for one, share in zip(TWO_VARIANTS, (90, 10), strict=True)]

    answer = experiments.client.patch(f"{TESTS}/prices", json={"variants": variants, "version": version})

    assert answer.status_code == 200, answer.text
    first, second = answer.json()["phases"]
    assert first["endedAt"] == second["startedAt"]
    assert second["allocations"] == {"control": 0.9, "new": 0.1}


def test_patch_changes_what_it_names(experiments: Api) -> None:
    before = created(experiments.client, hypothesis="Cheaper sells", plannedUsers=100)

    answer = experiments.client.patch(f"{TESTS}/prices", json={"name": "Other", "hypothesis": None})

    after = answer.json()
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {"name", "hypothesis", "version", "updatedAt"}
    assert (after["name"], after["hypothesis"]) == ("Other", "")


def test_whole_document_can_be_sent_back(experiments: Api) -> None:
    before = created(experiments.client)

    answer = experiments.client.patch(f"{TESTS}/prices", json={**before, "description": "x"})

    assert answer.status_code == 200, answer.text
    assert answer.json()["description"] == "x"


@pytest.mark.parametrize(
    ("patch", "status", "code"),
    [
        ({"version": 700}, 409, "version_stale"),
        ({"variants": [*TWO_VARIANTS, {"id": "third"}]}, 409, "experiment_status"),
        ({"seed": "x"}, 409, "experiment_status"),
        ({"plannedUsers": 5000}, 409, "experiment_status"),
        ({"status": "paused"}, 400, "definition_invalid"),
        ({"phases": []}, 400, "definition_invalid"),
        ({"metrics": []}, 400, "definition_invalid"),
        ({"id": "other"}, 400, "definition_invalid"),
        ({"flagKey": "nothing"}, 400, "definition_invalid"),
        ({"version": "1"}, 400, "definition_invalid"),
    ],
)
def test_change_that_may_not_be_is_refused(experiments: Api, patch: dict[str, Any], status: int, code: str) -> None:
    before = created(experiments.client)

    answer = experiments.client.patch(f"{TESTS}/prices", json=patch)

    assert_problem(answer, status, code)
    assert experiments.client.get(f"{TESTS}/prices").json() == before


def test_refusal_of_other_variants_says_what_to_do(experiments: Api) -> None:
    created(experiments.client)

    answer = experiments.client.patch(f"{TESTS}/prices", json={"variants": [*TWO_VARIANTS, {"id": "third"}]})

    assert answer.json()["detail"].startswith("prices is running: its variants cannot be added, removed, reordered")
    assert answer.json()["detail"].endswith("Change allocations or names, or create another experiment.")


def test_every_problem_of_a_document_is_named(experiments: Api) -> None:
    wrong = {
        "name": "x",
        "variants": [{"id": "a", "isControl": True}, {"id": "b", "isControl": True}],
        "metrics": [{"id": "m", "type": "count", "aggregation": "rate"}, {"id": "r", "type": "ratio"}],
        "segments": ["shoe_size"],
    }

    problem = assert_problem(experiments.client.post(TESTS, json=wrong), 400, "definition_invalid")

    assert {(one["field"], one["code"]) for one in problem["errors"]} == {
        ("variants", "control_count"),
        ("metrics[0].aggregation", "not_allowed"),
        ("metrics[1].denominator", "field_missing"),
        ("segments[0]", "not_allowed"),
    }


@pytest.mark.parametrize(
    ("body", "code"),
    [(b"", "json_invalid"), (b'{"variants": NaN}', "json_invalid"), (b"[]", "wrong_type"), (b"\xff", "json_invalid")],
)
def test_body_that_is_no_object_is_refused(experiments: Api, body: bytes, code: str) -> None:
    problem = assert_problem(experiments.client.post(TESTS, content=body), 400, "definition_invalid")

    assert problem["errors"][0]["code"] == code


def test_steps_that_do_not_follow_are_conflicts(experiments: Api) -> None:
    created(experiments.client)
    step(experiments.client, "prices", "complete", comment="no")
    step(experiments.client, "prices", "archive")

    answers = {name: experiments.client.post(f"{TESTS}/prices/{name}") for name in ("start", "pause", "resume")}

    for answer in answers.values():
        assert_problem(answer, 409, "experiment_status")
    assert answers["start"].json()["detail"] == "prices is archived: create another one to try again."


def test_decision_for_an_unknown_variant_is_refused(experiments: Api) -> None:
    created(experiments.client)

    answer = experiments.client.post(f"{TESTS}/prices/complete", json={"variantId": "old"})

    problem = assert_problem(answer, 400, "definition_invalid")
    assert problem["errors"][0]["code"] == "variant_unknown"


def test_step_knows_the_version_that_was_seen(experiments: Api) -> None:
    version = created(experiments.client)["version"]
    experiments.client.patch(f"{TESTS}/prices", json={"name": "Other"})

    assert_problem(experiments.client.post(f"{TESTS}/prices/pause", json={"version": version}), 409, "version_stale")
    assert_problem(experiments.client.post(f"{TESTS}/prices/pause", json={"colour": 1}), 400, "input_invalid")


def test_only_what_is_not_under_way_is_deleted(experiments: Api) -> None:
    created(experiments.client)
    created(experiments.client, "draft", status="draft")

    refused = experiments.client.delete(f"{TESTS}/prices")
    deleted = experiments.client.delete(f"{TESTS}/draft")

    assert_problem(refused, 409, "experiment_status")
    assert deleted.status_code == 204
    assert_problem(experiments.client.get(f"{TESTS}/draft"), 404, "experiment_not_found")
    assert experiments.client.get(f"{TESTS}/draft/history").json()["items"][0]["action"] == "deleted"


def test_flag_of_an_experiment_under_way_stays(experiments: Api) -> None:
    experiments.client.post(FLAGS, json={"key": "checkout", "name": "Checkout"})
    created(experiments.client, flagKey="checkout")

    kept = experiments.client.delete(f"{FLAGS}/checkout")
    step(experiments.client, "prices", "complete")
    deleted = experiments.client.delete(f"{FLAGS}/checkout")

    assert "experiment prices" in assert_problem(kept, 409, "in_use")["detail"]
    assert deleted.status_code == 204
    assert step(experiments.client, "prices", "archive")["flagKey"] == "checkout"


@pytest.mark.parametrize(
    ("role", "reads", "writes", "turns_flags_off"),
    [(Role.VIEWER, 200, 403, 403), (Role.ANALYST, 200, 201, 403), (Role.EDITOR, 200, 201, 201)],
)
def test_roles_may_do_what_their_permissions_say(
    experiments: Api, role: Role, reads: int, writes: int, turns_flags_off: int
) -> None:
    experiments.client.post(FLAGS, json={"key": "switch", "name": "Switch"})
    headers = bearer(token_for(experiments.settings, role))
    policy = {"flagKey": "switch", "guardrailPolicy": "disable_flag"}

    answers = [
        experiments.client.get(TESTS, headers=headers),
        experiments.client.post(TESTS, json=document(id="plain"), headers=headers),
        experiments.client.post(TESTS, json=document(id="policy", **policy), headers=headers),
    ]

    assert [one.status_code for one in answers] == [reads, writes, turns_flags_off]


def test_write_key_reads_no_definitions(experiments: Api) -> None:
    key, _ = write_key_for(experiments.settings, experiments.environment)

    assert_problem(experiments.client.get(TESTS, headers=bearer(key)), 403, "permission_missing")


def test_experiment_that_ran_elsewhere_keeps_its_times(experiments: Api) -> None:
    made = created(
        experiments.client, status="completed", startedAt="2024-01-01T00:00:00Z", endedAt="2024-02-01T00:00:00Z"
    )

    [phase] = made["phases"]
    assert (phase["startedAt"], phase["endedAt"]) == (made["startedAt"], made["endedAt"])
    assert made["startedAt"] == "2024-01-01T00:00:00Z"


def test_experiments_come_back_after_valkey_has_lost_everything(experiments: Api) -> None:
    before = created(experiments.client, metrics=[SIGNUP, {"id": "visits", "type": "count"}])
    stem = f"{{{experiments.environment}}}:definitions"

    with Redis.from_url(experiments.settings.redis_url) as redis:
        redis.delete(f"{stem}:documents", f"{stem}:versions", f"{stem}:state")
        seconds_until(lambda: bool(redis.exists(f"{stem}:state")))

    assert experiments.client.get(f"{TESTS}/prices").json() == before
    assert step(experiments.client, "prices", "pause")["version"] == before["version"] + 1


def test_results_before_the_marts_are_built_are_told_to_come_later(experiments: Api) -> None:
    created(experiments.client)

    assert_problem(experiments.client.get(f"{TESTS}/prices/results"), 503, "marts_not_built")
