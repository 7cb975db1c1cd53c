"""What the OpenAPI document says of definitions, against what is read and written."""

from datetime import UTC, datetime
from typing import Any

import pytest

from flags.codec import decode_flag, decode_segment, encode_flag, encode_segment
from flags.fields import Members, Problems
from ingest_api.flags.documents import FLAG_EXAMPLE, FlagDocument, FlagInput, SegmentDocument, SegmentInput
from tests.flags.documents_given import VALUES
from tests.ingest_api.conftest import Api
from tests.ingest_api.flags.definitions_given import BETA, CUSTOMERS_FLAG, created, created_segment

NOW = "2026-01-31T12:00:00Z"
HISTORY = {"version": 2, "createdBy": "ann", "createdAt": NOW, "updatedBy": "bob", "updatedAt": NOW}


def names(model: Any) -> set[str]:
    return {field.alias for field in model.model_fields.values()}


def test_a_documented_flag_has_the_members_of_a_written_one() -> None:
    schedule = {"validFrom": NOW}

    written = encode_flag(decode_flag({**FLAG_EXAMPLE, "schedule": schedule, **HISTORY}))

    assert names(FlagDocument) == written.keys()


def test_a_documented_segment_has_the_members_of_a_written_one() -> None:
    assert names(SegmentDocument) == encode_segment(decode_segment(BETA | HISTORY)).keys()


@pytest.mark.parametrize(
    ("model", "read", "example"), [(FlagInput, decode_flag, CUSTOMERS_FLAG), (SegmentInput, decode_segment, BETA)]
)
def test_every_documented_member_may_be_sent(model: Any, read: Any, example: dict[str, Any]) -> None:
    for field in model.model_fields.values():
        default = field.get_default(call_default_factory=True)
        if default is not None and field.alias not in example and not field.is_required():
            read(example | {field.alias: default})


def test_what_is_answered_is_as_documented(flags: Api) -> None:
    flag = created(flags.client, schedule={"validFrom": NOW}, rules=[{"force": True}], tags=["a"])
    segment = created_segment(flags.client)

    assert FlagDocument.model_validate(flag).updated_at <= datetime.now(UTC)
    assert SegmentDocument.model_validate(segment).key == "beta"
    assert set(VALUES) == set(FlagInput.model_json_schema()["properties"]["type"]["enum"])


def test_a_key_is_as_long_as_documented() -> None:
    schema = FlagInput.model_json_schema()["properties"]["key"]

    for key, is_right in (("a" * schema["maxLength"], True), ("a" * (schema["maxLength"] + 1), False)):
        problems = Problems()
        Members({"key": key}, "", problems).key("key")
        assert (not problems.found) is is_right
