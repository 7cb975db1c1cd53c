"""The clients of OpenFeature and GrowthBook, as their vendors publish them, get what our own routes answer."""

import logging
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from growthbook import GrowthBook
from growthbook.growthbook import feature_repo
from openfeature import api as openfeature
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext

from tests.flags.all_kinds_given import SEGMENTS, every_flag
from tests.flags.flags_given import flag, people
from tests.ingest_api.conftest import Api
from tests.ingest_api.flags.clients_given import FlagApi, flag_api
from tests.ingest_api.serving import bearer

USERS = 1000
# One request for each flag and user: those of one kind more would only take longer.
BY_OPENFEATURE = (
    "new_feature", "static", "off", "json", "number", "whole-numbers", "variants", "rules", "companies", "needs-value",
    "sticky", "scheduled", "operators",
)  # fmt: skip
# What an app's code would fall back to: no flag is this.
FALLBACKS: Mapping[str, Any] = {
    "boolean": True, "string": "fallback", "integer": -99, "float": -99.5, "object": {"fallback": True},
}  # fmt: skip


@pytest.fixture(scope="module")
def flags(api: Api) -> FlagApi:
    flags = flag_api(api)
    whole = flag("whole-numbers", type="number", value=2.0, defaultValue=3, rolloutPercentage=50)
    flags.apply(*every_flag(), whole, *SEGMENTS)
    return flags


@pytest.fixture(scope="module")
def ours(flags: FlagApi) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Attributes of users, and our answers for them."""
    return [(attributes, flags.evaluated(asked_for(attributes))) for attributes in people(USERS)]


@pytest.fixture(autouse=True)
def quiet_client_library() -> Iterator[None]:
    """It warns of each prerequisite that does not exist, in each evaluation."""
    loggers = [logging.getLogger(name) for name in ("growthbook", "growthbook.core")]
    for one in loggers:
        one.disabled = True
    yield
    for one in loggers:
        one.disabled = False
    feature_repo.clear_cache()
    if feature_repo.http is not None:
        feature_repo.http.clear()


@pytest.fixture(scope="module")
def provider(flags: FlagApi) -> Iterator[OFREPProvider]:
    provider = OFREPProvider(flags.url, headers_factory=lambda: {"X-API-Key": flags.write_key})
    openfeature.set_provider_and_wait(provider)
    yield provider
    openfeature.clear_providers()
    provider.session.close()


def asked_for(attributes: dict[str, Any]) -> dict[str, Any]:
    """A user whose id is text stands beside the attributes, as in the documented request."""
    user_id = attributes.get("id")
    if not isinstance(user_id, str):
        return {"attributes": attributes}
    return {"userId": user_id, "attributes": {name: one for name, one in attributes.items() if name != "id"}}


def kind_of(value: Any) -> str:
    kinds = {bool: "boolean", str: "string", int: "integer", float: "float"}
    return kinds.get(type(value), "object")


def test_bulk_route_answers_what_the_route_of_one_flag_does(
    flags: FlagApi, ours: list[tuple[dict[str, Any], dict[str, Any]]]
) -> None:
    for attributes, answers in ours[:40]:
        for key, answer in answers.items():
            one = flags.client.post(
                f"/api/feature-flags/flags/{key}/evaluate", headers=bearer(flags.write_key), json=asked_for(attributes)
            )
            assert one.json() == answer


def test_openfeature_answers_what_we_answer(
    provider: OFREPProvider, ours: list[tuple[dict[str, Any], dict[str, Any]]]
) -> None:
    client, differing, seen = openfeature.get_client(), [], set()

    for attributes, answers in ours:
        asked = asked_for(attributes)
        context = EvaluationContext(asked.get("userId"), asked["attributes"])
        for key in BY_OPENFEATURE:
            own = answers[key]
            kind = kind_of(own["value"]) if own["value"] is not None else "string"
            theirs = getattr(client, f"get_{kind}_details")(key, FALLBACKS[kind], context)
            got = (theirs.value, theirs.variant, theirs.reason, theirs.flag_metadata)
            metadata = {"version": own["version"]} | ({"ruleId": own["ruleId"]} if own["ruleId"] else {})
            value = FALLBACKS[kind] if own["value"] is None else own["value"]
            expected = (value, own["variant"], own["reason"], metadata)
            if own["reason"] == "ERROR":
                got, expected = (theirs.value, theirs.error_code), (FALLBACKS[kind], own["errorCode"])
            if got != expected or type(theirs.value) is not type(expected[0]):
                differing.append((key, got, expected, attributes))
            seen.add((key, kind, own["reason"]))

    assert differing == []
    assert {kind for _, kind, _ in seen} == set(FALLBACKS)
    assert {reason for _, _, reason in seen} == {"STATIC", "DEFAULT", "TARGETING_MATCH", "SPLIT", "DISABLED", "ERROR"}


def test_openfeature_takes_its_default_for_a_flag_that_does_not_exist(provider: OFREPProvider) -> None:
    details = openfeature.get_client().get_string_details("nothing-there", "fallback", EvaluationContext("u"))

    assert (details.value, details.error_code) == ("fallback", "FLAG_NOT_FOUND")


def test_growthbook_evaluates_our_payload_as_we_do(
    flags: FlagApi, ours: list[tuple[dict[str, Any], dict[str, Any]]]
) -> None:
    client = GrowthBook(api_host=flags.url, client_key=flags.write_key)
    client.load_features()
    differing, seen = [], set()

    for attributes, answers in ours:
        client.set_attributes(dict(attributes))  # it empties them in the end
        for key, own in answers.items():
            theirs = client.eval_feature(key)
            if theirs.value != own["value"] or type(theirs.value) is not type(own["value"]):
                differing.append((own, theirs.to_dict(), attributes))
            if theirs.source in ("force", "experiment") and theirs.ruleId != (own["ruleId"] or "rollout"):
                differing.append((own, theirs.to_dict(), attributes))
            seen.add((key, str(own["value"])))

    assert differing == []
    assert len(seen) > 2 * len(ours[0][1])
    client.destroy()


def test_growthbook_gets_our_answers_by_remote_evaluation(
    flags: FlagApi, ours: list[tuple[dict[str, Any], dict[str, Any]]]
) -> None:
    client = GrowthBook(api_host=flags.url, client_key=flags.write_key, remote_eval=True)
    differing = []

    for attributes, answers in ours:
        client.set_attributes(dict(attributes))  # it empties them in the end
        for key, own in answers.items():
            theirs = client.eval_feature(key)
            if theirs.value != own["value"] or type(theirs.value) is not type(own["value"]):
                differing.append((own, theirs.to_dict(), attributes))

    assert differing == []
    client.destroy()
