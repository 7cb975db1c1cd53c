"""The growthbook package evaluates our payload: it must answer what we answer."""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from growthbook import GrowthBook, InMemoryStickyBucketService
from hypothesis import given, settings
from hypothesis import strategies as st

from flags.codec import decode_flag
from flags.growthbook import payload, remote_payload, remote_user
from flags.problems import DefinitionInvalid
from flags.ruleset import Ruleset, user_of
from flags.sticky_buckets import StickyBuckets
from tests.flags.all_kinds_given import COLORS, SEGMENTS, every_flag
from tests.flags.documents_given import flag_documents
from tests.flags.flags_given import NOW, flag, people, ruleset

ABSENT = flag("absent", type="string", value="v", defaultValue="d", rules=[{"force": "x", "segments": ["absent"]}])


@pytest.fixture(autouse=True)
def quiet_client_library() -> Iterator[None]:
    """It warns of each prerequisite that does not exist, in each evaluation."""
    logger = logging.getLogger("growthbook")
    logger.disabled = True
    logging.getLogger("growthbook.core").disabled = True
    yield
    logger.disabled = logging.getLogger("growthbook.core").disabled = False


def test_a_client_library_answers_what_we_answer() -> None:
    rules = ruleset(*every_flag(), ABSENT, segments=SEGMENTS)
    client = GrowthBook(features=payload(rules, NOW, NOW)["features"])

    differing, answers = [], set()
    for attributes in people(1000):
        client.set_attributes(attributes)
        for one in rules.evaluate_all(user_of(None, attributes), NOW):
            theirs = client.eval_feature(one.key)
            answers.add((one.key, str(one.value)))
            if theirs.value != one.value or type(theirs.value) is not type(one.value):
                differing.append((one, theirs.to_dict(), attributes))
            if theirs.source in ("force", "experiment") and theirs.ruleId != (one.rule_id or "rollout"):
                differing.append((one, theirs.to_dict(), attributes))

    assert differing == []
    assert len(answers) > 2 * len(rules.flags)


def test_a_client_library_keeps_variations_as_we_do() -> None:
    before = ruleset(flag("sticky", type="string", rules=[{"id": "r", **COLORS, "sticky": True}]))
    after = ruleset(flag("sticky", type="string", rules=[{"id": "r", **COLORS, "weights": [0, 0, 1], "sticky": True}]))
    service = InMemoryStickyBucketService()
    kept = {one: StickyBuckets() for one in map(str, range(1, 300))}

    for rules in (before, after):
        client = GrowthBook(features=payload(rules, NOW, NOW)["features"], sticky_bucket_service=service)
        for user_id, buckets in kept.items():
            client.set_attributes({"id": user_id})
            assert (
                client.eval_feature("sticky").value
                == rules.evaluate("sticky", user_of(user_id, {}, buckets), NOW).value
            )

    assert service.docs == {key: one for buckets in kept.values() for key, one in buckets.documents.items()}
    assert len({rules.evaluate("sticky", user_of(one, {}, kept[one]), NOW).value for one in kept}) == 3


@settings(max_examples=150, deadline=None)
@given(documents=st.lists(flag_documents(), max_size=3, unique_by=lambda one: one["key"]), seed=st.integers(0, 1000))
def test_a_client_library_answers_any_flag_as_we_do(documents: list[dict[str, Any]], seed: int) -> None:
    flags = []
    for one in documents:
        try:
            flags.append(decode_flag(one))
        except DefinitionInvalid:
            continue
    rules = ruleset(*flags, segments=SEGMENTS)
    client = GrowthBook(features=payload(rules, NOW, NOW)["features"])

    for attributes in people(10, seed):
        client.set_attributes(attributes)
        ours = rules.evaluate_all(user_of(None, attributes), NOW)
        assert [client.eval_feature(one.key).value for one in ours] == [one.value for one in ours]


def test_remote_evaluation_answers_what_we_answer() -> None:
    rules = ruleset(*every_flag(), ABSENT, segments=SEGMENTS)

    for attributes in people(100):
        body = remote_payload(rules, remote_user({"attributes": attributes}), NOW, NOW)
        client = GrowthBook(attributes=attributes, features=body["features"])
        ours = rules.evaluate_all(user_of(None, attributes), NOW)
        assert {key: set(one) for key, one in body["features"].items()} == {
            key: {"defaultValue"} for key in rules.flags
        }
        assert [client.eval_feature(one.key).value for one in ours] == [one.value for one in ours]


def test_remote_user_forces_variations_and_features() -> None:
    rules = ruleset(flag("exp", type="string", defaultValue="-", variants=[
        {"key": "a", "weight": 1}, {"key": "b", "weight": 1},
    ]), flag("other", rolloutPercentage=0))  # fmt: skip
    document = {
        "attributes": {"id": "u"},
        "forcedVariations": {"exp": 1},
        "forcedFeatures": [["other", True], ["x"], 1],
        "url": None,
    }

    body = remote_payload(rules, remote_user(document), NOW, NOW)

    assert body["features"] == {"exp": {"defaultValue": "b"}, "other": {"defaultValue": True}}


@pytest.mark.parametrize("document", [{}, {"attributes": [], "forcedVariations": 1, "forcedFeatures": {}, "url": 3}])
def test_remote_user_of_another_form_is_nobody(document: dict[str, Any]) -> None:
    assert remote_user(document) == remote_user({"attributes": {"id": None}})


def test_payload_has_the_documented_form() -> None:
    rules = ruleset(flag("new-ui", conditions=[{"plan": "pro"}], rolloutPercentage=50), flag("off", isEnabled=False))

    body = payload(rules, NOW, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))

    assert body == {
        "status": 200,
        "dateUpdated": "2026-01-02T03:04:05.000Z",
        "features": {
            "new-ui": {
                "defaultValue": False,
                "rules": [
                    {
                        "id": "rollout",
                        "condition": {"plan": "pro"},
                        "force": True,
                        "coverage": 0.5,
                        "range": [0, 0.5],
                        "hashAttribute": "id",
                        "hashVersion": 2,
                        "seed": "new-ui",
                    }
                ],
            },
            "off": {"defaultValue": False},
        },
    }


def test_payload_is_newer_when_a_schedule_has_changed_it() -> None:
    rules = Ruleset([flag("f", schedule={"validFrom": "2026-06-01T12:00:00Z"})])
    edited = NOW - timedelta(days=1)

    before, after = (payload(rules, moment, edited) for moment in (NOW - timedelta(seconds=1), NOW))

    assert (before["dateUpdated"], after["dateUpdated"]) == ("2026-05-31T12:00:00.000Z", "2026-06-01T12:00:00.000Z")
    assert "rules" not in before["features"]["f"]
    assert "rules" in after["features"]["f"]
