"""Flags that may be removed."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.json import encode
from msgspec.structs import astuple

from flags.codec import encode_flag
from flags.model import Flag
from flags.redis_store import Revision
from ingest_api.auth.roles import Role
from ingest_api.events.raw_tables import RawTables
from ingest_api.flags.changes import Author, change_row
from ingest_api.flags.staleness import judge
from tests.conftest import Gateway, Valkey, fresh_settings
from tests.ingest_api.conftest import Api
from tests.ingest_api.flags.conftest import FLAGS
from tests.ingest_api.serving import api_settings, bearer, serving, token_for
from warehouse.client import connect
from warehouse.raw_events import FlagEvaluationCount

NOW = datetime.now(UTC).replace(microsecond=0)
DAYS = 30
LONG_AGO = NOW - timedelta(days=100)


def flag(updated_at: datetime = LONG_AGO) -> Flag:
    return Flag("dark_mode", "Dark mode", "boolean", True, False, owner="ada", updated_at=updated_at)


def row(answers: int = 1, answer: str = "true") -> dict[str, Any]:
    return {"evaluation_count": 7, "answer_count": answers, "answer": answer, "last_at": NOW}


def test_a_flag_that_nobody_asked_for_is_stale() -> None:
    stale = judge(flag(), None, NOW - timedelta(days=DAYS), DAYS)

    assert stale is not None
    assert (stale.key, stale.reason, stale.evaluation_count, stale.owner) == ("dark_mode", "not_evaluated", 0, "ada")


def test_a_flag_that_answers_everybody_alike_is_stale() -> None:
    stale = judge(flag(), row(), NOW - timedelta(days=DAYS), DAYS)

    assert stale is not None
    assert (stale.reason, stale.evaluation_count, stale.last_evaluated_at) == ("same_answer", 7, NOW)
    assert "true" in stale.detail


def test_a_flag_in_use_is_not_stale() -> None:
    assert judge(flag(), row(answers=2), NOW - timedelta(days=DAYS), DAYS) is None


@pytest.mark.parametrize("evaluated", [None, row()])
def test_a_flag_that_was_changed_lately_is_not_stale(evaluated: dict[str, Any] | None) -> None:
    changed = flag(updated_at=NOW - timedelta(days=DAYS - 1))

    assert judge(changed, evaluated, NOW - timedelta(days=DAYS), DAYS) is None


@pytest.fixture
def aged(gateway: Gateway, valkey: Valkey) -> Iterator[Api]:
    """An API with flags of long ago: it reads them from the audit trail, because its Valkey knows none."""
    settings, warehouse_settings = api_settings(valkey.url), fresh_settings(gateway)
    rows = []
    for key in ("same", "mixed", "forgotten", "never"):
        document = encode_flag(replace(flag(), key=key))
        rows.append(change_row(f"flag:{key}", "created", Author("ann"), b"", Revision(1, encode(document)), LONG_AGO))
    tables = RawTables(warehouse_settings)
    tables.insert("definition_changes", b"".join(rows), "aged")
    tables.close()
    with serving(settings, warehouse_settings) as client:
        client.headers.update(bearer(token_for(settings, Role.VIEWER)))
        yield Api(client, settings, warehouse_settings)


def test_stale_flags_are_found_in_the_counts_of_the_warehouse(aged: Api) -> None:
    client = connect(aged.warehouse_settings)
    for flag_key, answer, days_ago, times in (
        ("same", "true", 1, 2),
        ("mixed", "true", 1, 1),
        ("mixed", "false", 2, 1),
        ("forgotten", "true", 50, 1),
        ("deleted", "true", 1, 1),
    ):
        at = NOW - timedelta(days=days_ago)
        count = FlagEvaluationCount(f"{flag_key}-{answer}", flag_key, 1, "", answer, "STATIC", 5, at, at)
        for _ in range(times):  # a row may be stored twice
            client.insert(
                "flag_evaluations",
                [[*astuple(count), at]],
                column_names=[*FlagEvaluationCount.__struct_fields__, "inserted_at"],
                database=aged.warehouse_settings.database("raw"),
                settings={"insert_deduplicate": 0},
            )
    client.close()

    answer = aged.client.get(f"{FLAGS}/stale", params={"days": DAYS}).json()

    found = {one["key"]: (one["reason"], one["evaluationCount"]) for one in answer["items"]}
    assert found == {
        "forgotten": ("not_evaluated", 0),
        "never": ("not_evaluated", 0),
        "same": ("same_answer", 5),
    }
    assert answer["nextCursor"] is None
    assert answer["asOf"]
