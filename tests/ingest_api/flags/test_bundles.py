"""All definitions as one document, and bringing an environment to it."""

from typing import Any

import httpx
import pytest

from tests.ingest_api.conftest import Api
from tests.ingest_api.flags.conftest import APPLY, FLAGS, SEGMENTS
from tests.ingest_api.flags.definitions_given import BETA, CUSTOMERS_FLAG, created, created_segment, for_segment

EXPORT = "/api/feature-flags/export"


def applied(api: Api, bundle: dict[str, Any], **query: bool) -> httpx.Response:
    return api.client.post(APPLY, params=query, json=bundle)


def actions(answer: httpx.Response) -> dict[str, str]:
    assert answer.status_code == 200, answer.text
    return {f"{one['kind']}:{one['key']}": one["action"] for one in answer.json()["items"]}


def keys(api: Api) -> list[str]:
    return [one["key"] for path in (FLAGS, SEGMENTS) for one in api.client.get(path).json()["items"]]


def test_what_was_exported_changes_nothing_when_it_is_applied(flags: Api) -> None:
    created_segment(flags.client)
    created(flags.client, "b", rules=for_segment("beta"), tags=["x"])
    created(flags.client, "a", type="number", value=1.5, rolloutPercentage=12.34)
    bundle = flags.client.get(EXPORT).json()

    answer = applied(flags, bundle, prune=True)

    assert [one["key"] for one in bundle["flags"]] == ["a", "b"]
    assert set(actions(answer).values()) == {"unchanged"}
    assert flags.client.get(f"{FLAGS}/a/history").json()["items"][0]["action"] == "created"


def test_an_export_says_nothing_that_differs_between_environments(flags: Api) -> None:
    created(flags.client)

    [flag] = flags.client.get(EXPORT).json()["flags"]

    assert not flag.keys() & {"version", "createdAt", "createdBy", "updatedAt", "updatedBy"}


def test_an_export_brings_an_empty_environment_to_the_same_state(flags: Api) -> None:
    created_segment(flags.client)
    created(flags.client, "new_ui")
    created(flags.client, "b", rules=for_segment("beta"), prerequisites=[{"flag": "new_ui"}])
    bundle = flags.client.get(EXPORT).json()
    applied(flags, {}, prune=True)
    assert keys(flags) == []

    answer = applied(flags, bundle)

    assert set(actions(answer).values()) == {"created"}
    assert flags.client.get(EXPORT).json() == bundle


def test_apply_creates_and_changes_what_differs(flags: Api) -> None:
    created(flags.client, "kept")
    created(flags.client, "changed")
    bundle = {
        "segments": [BETA],
        "flags": [
            {"key": "kept", "name": "kept"},
            {"key": "changed", "name": "changed", "rolloutPercentage": 5, "tags": ["new"]},
            {"key": "made", "name": "made", "rules": for_segment("beta")},
        ],
    }

    answer = flags.client.post(APPLY, json=bundle, params={"comment": "from git"})

    assert actions(answer) == {
        "segment:beta": "created",
        "flag:kept": "unchanged",
        "flag:changed": "updated",
        "flag:made": "created",
    }
    [changed] = [one for one in answer.json()["items"] if one["key"] == "changed"]
    assert changed["members"] == ["rolloutPercentage", "tags"]
    assert flags.client.get(f"{FLAGS}/changed").json()["rolloutPercentage"] == 5
    assert flags.client.get(f"{FLAGS}/changed/history").json()["items"][0]["comment"] == "from git"


def test_a_dry_run_says_the_same_and_changes_nothing(flags: Api) -> None:
    created(flags.client, "gone")
    bundle = {"flags": [CUSTOMERS_FLAG]}

    tried = applied(flags, bundle, dryRun=True, prune=True)

    assert tried.json()["dryRun"] is True
    assert keys(flags) == ["gone"]
    done = applied(flags, bundle, prune=True)
    assert done.json()["items"] == tried.json()["items"]
    assert keys(flags) == ["new_feature"]


def test_apply_leaves_what_the_bundle_does_not_have_unless_it_prunes(flags: Api) -> None:
    created_segment(flags.client)
    created(flags.client, "old", rules=for_segment("beta"))
    due = {"dueAt": "2100-01-01T00:00:00Z", "patch": {"isEnabled": False}}
    flags.client.post(f"{FLAGS}/old/scheduled-changes", json=due)

    kept = applied(flags, {"flags": [CUSTOMERS_FLAG]})
    assert actions(kept) == {"flag:new_feature": "created"}
    assert keys(flags) == ["new_feature", "old", "beta"]

    pruned = actions(applied(flags, {"flags": [CUSTOMERS_FLAG]}, prune=True))
    assert pruned.pop("flag:new_feature") == "unchanged"
    assert set(pruned.values()) == {"deleted"}
    assert {name.partition(":")[0] for name in pruned} == {"flag", "segment", "scheduled_change"}
    assert keys(flags) == ["new_feature"]


def test_nothing_is_applied_when_anything_is_wrong(flags: Api) -> None:
    bundle = {
        "segments": [{"key": "beta", "name": "Beta"}],
        "flags": [CUSTOMERS_FLAG, {"key": "a b", "name": "x"}, {"key": "c", "type": "string", "value": 1}],
    }

    answer = applied(flags, bundle)

    assert answer.status_code == 400
    assert {one["field"] for one in answer.json()["errors"]} == {
        "segments[0].conditions",
        "flags[1].key",
        "flags[2].value",
    }
    assert keys(flags) == []


@pytest.mark.parametrize(
    ("bundle", "code"),
    [
        ({"flags": [{"key": "a", "rules": for_segment("nobody")}]}, "segment_unknown"),
        (
            {
                "flags": [
                    {"key": "a", "prerequisites": [{"flag": "b"}]},
                    {"key": "b", "prerequisites": [{"flag": "a"}]},
                ]
            },
            "prerequisite_cycle",
        ),
        ({"flags": [{"key": "a"}, {"key": "a"}]}, "duplicate"),
        ({"flags": [{"key": "stale"}]}, "not_allowed"),
        ({"flags": {}}, "wrong_type"),
        ({"flags": "a"}, "wrong_type"),
        ({"flaggs": []}, "field_unknown"),
    ],
)
def test_a_bundle_that_does_not_hold_together_is_refused(flags: Api, bundle: dict[str, Any], code: str) -> None:
    answer = applied(flags, bundle)

    assert answer.status_code == 400, answer.text
    assert code in {one["code"] for one in answer.json()["errors"]}
    assert keys(flags) == []


def test_two_flags_may_come_to_need_each_other_in_another_order(flags: Api) -> None:
    """What counts is what there will be, not each step to it."""
    created(flags.client, "a")
    created(flags.client, "b", prerequisites=[{"flag": "a"}])

    answer = applied(flags, {"flags": [{"key": "a", "prerequisites": [{"flag": "b"}]}, {"key": "b"}]})

    assert actions(answer) == {"flag:a": "updated", "flag:b": "updated"}


def test_pruning_does_not_take_what_a_flag_of_the_bundle_needs(flags: Api) -> None:
    created_segment(flags.client)

    answer = applied(flags, {"flags": [{"key": "a", "rules": for_segment("beta")}]}, prune=True)

    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "segment_unknown")
    assert keys(flags) == ["beta"]


def test_a_thousand_flags_are_applied_at_once(flags: Api) -> None:
    many = [{"key": f"flag_{number:04}", "name": "x" * 100, "description": "y" * 1500} for number in range(1000)]

    answer = applied(flags, {"flags": many})

    assert len(actions(answer)) == 1000
    assert len(flags.client.get(FLAGS, params={"limit": 1000}).json()["items"]) == 1000
