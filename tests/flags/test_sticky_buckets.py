"""Users who keep their variation."""

from typing import Any

import pytest
from growthbook import GrowthBook, InMemoryStickyBucketService

from flags.evaluate import Features
from flags.experiments import User
from flags.sticky_buckets import StickyBuckets

RULE: dict[str, Any] = {
    "key": "exp",
    "variations": ["control", "red", "blue"],
    "meta": [{"key": "0"}, {"key": "1"}, {"key": "2"}],
    "weights": [1, 0, 0],
    "hashAttribute": "id",
    "hashVersion": 2,
    "bucketVersion": 1,
}


def document(attribute: str, value: str, **assignments: str) -> dict[str, Any]:
    return {"attributeName": attribute, "attributeValue": value, "assignments": assignments}


def feature(**members: Any) -> dict[str, Any]:
    return {"f": {"defaultValue": "default", "rules": [{**RULE, **members}]}}


@pytest.mark.parametrize(
    ("members", "attributes", "documents", "value", "is_sticky"),
    [
        ({}, {"id": "1"}, [], "control", False),
        ({}, {"id": "1"}, [document("id", "1", exp__1="1")], "red", True),
        ({}, {"id": "1"}, [document("id", "2", exp__1="1")], "control", False),
        ({}, {"id": "1"}, [document("id", "1", exp__0="1")], "control", False),
        ({}, {"id": "1"}, [document("id", "1", exp__1="gone")], "control", False),
        ({"disableStickyBucketing": True}, {"id": "1"}, [document("id", "1", exp__1="1")], "control", False),
        ({"minBucketVersion": 1}, {"id": "1"}, [document("id", "1", exp__0="1")], "default", False),
        ({"coverage": 0}, {"id": "1"}, [document("id", "1", exp__1="2")], "blue", True),
        ({"namespace": ["n", 0, 0]}, {"id": "1"}, [document("id", "1", exp__1="2")], "blue", True),
        ({"condition": {"plan": "pro"}}, {"id": "1"}, [document("id", "1", exp__1="2")], "default", False),
        ({"fallbackAttribute": "device"}, {"device": "d"}, [], "control", False),
        ({"fallbackAttribute": "device"}, {"device": "d"}, [document("device", "d", exp__1="1")], "red", True),
        (
            {"fallbackAttribute": "device"},
            {"id": "1", "device": "d"},
            [document("device", "d", exp__1="1"), document("id", "1", exp__1="2")],
            "blue",
            True,
        ),
        (
            {"fallbackAttribute": "device"},
            {"id": "1", "device": "d"},
            [document("device", "d", exp__1="1")],
            "red",
            True,
        ),
    ],
    ids=str,
)
def test_user_keeps_a_variation_as_in_a_client_library(
    members: dict[str, Any], attributes: dict[str, Any], documents: list[dict[str, Any]], value: str, is_sticky: bool
) -> None:
    service = InMemoryStickyBucketService()
    for one in documents:
        service.save_assignments(one)
    client = GrowthBook(attributes=attributes, features=feature(**members), sticky_bucket_service=service)
    buckets = StickyBuckets.of(documents)

    result = Features(feature(**members)).evaluate("f", User(attributes, buckets))

    theirs = client.eval_feature("f")
    assert result.value == theirs.value == value
    assert (result.experiment_result is not None and result.experiment_result.sticky_bucket_used) is is_sticky
    assert buckets.documents == {**buckets.documents, **service.docs}


def test_assignment_is_kept_once_and_beside_others() -> None:
    buckets = StickyBuckets.of([document("id", "1", other__0="1")])
    ann, features = User({"id": "1"}, buckets), Features(feature())

    features.evaluate("f", ann)
    kept = dict(buckets.changed)
    buckets.changed.clear()
    features.evaluate("f", ann)

    assert kept == {"id||1": document("id", "1", other__0="1", exp__1="0")}
    assert buckets.changed == {}


def test_kept_variation_outlives_new_weights() -> None:
    buckets = StickyBuckets()
    before = Features(feature()).evaluate("f", User({"id": "1"}, buckets))

    after = Features(feature(weights=[0, 0, 1])).evaluate("f", User({"id": "1"}, buckets))
    without = Features(feature(weights=[0, 0, 1])).evaluate("f", User({"id": "1"}))

    assert (before.value, after.value, without.value) == ("control", "control", "blue")
