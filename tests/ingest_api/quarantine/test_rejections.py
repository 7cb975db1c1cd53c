"""Reading the quarantine over HTTP."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.ingest_api.conftest import Api
from tests.ingest_api.quarantine.conftest import NOON, rejected, replayed, store
from warehouse.client import connect

PATH = "/api/analytics/quarantine"


def found(api: Api, path: str = "", **query: str | int) -> dict[str, Any]:
    response = api.client.get(f"{PATH}{path}", params=query)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def ids(api: Api, **query: str | int) -> list[str]:
    return [one["rejectionId"] for one in found(api, **query)["items"]]


def accept(api: Api, *events: tuple[str, str, datetime]) -> None:
    """Put accepted events into the warehouse: id, source and time of receipt of each."""
    client = connect(api.warehouse_settings)
    client.insert(
        "events",
        events,
        column_names=["event_id", "source", "received_at"],
        database=api.warehouse_settings.database("raw"),
    )
    client.close()


def test_list_names_what_was_rejected_and_why(quarantine: Api) -> None:
    store(quarantine.warehouse_settings, rejected(1, payload='{"a": "' + "ü" * 300 + '"}'))

    [item] = found(quarantine)["items"]

    assert item == {
        "rejectionId": "r1",
        "eventId": "e1",
        "eventName": "page_view",
        "code": "identity_missing",
        "field": "userId",
        "message": "userId or anonymousId is required.",
        "source": "web",
        "rejectedBy": "api",
        "receivedAt": "2026-01-31T12:00:01Z",
        "isComplete": True,
        "status": "waiting",
        "replayedAt": None,
        "payloadPreview": '{"a": "' + "ü" * 193,
        "payloadBytes": 609,
    }


def test_list_is_read_page_by_page_from_the_newest(quarantine: Api) -> None:
    # Some were received in the same millisecond.
    rows = [rejected(number, received_at=NOON + timedelta(milliseconds=number // 3)) for number in range(10)]
    store(quarantine.warehouse_settings, *rows)

    pages, cursor = [], ""
    while cursor is not None:
        page = found(quarantine, limit=4, **{"cursor": cursor} if cursor else {})
        pages.append([item["rejectionId"] for item in page["items"]])
        cursor = page["nextCursor"]

    assert pages == [["r9", "r8", "r7", "r6"], ["r5", "r4", "r3", "r2"], ["r1", "r0"]]


def test_list_shows_a_rejection_once_that_was_stored_twice(quarantine: Api) -> None:
    store(quarantine.warehouse_settings, rejected(1), rejected(2))
    store(quarantine.warehouse_settings, rejected(1), replayed(1))
    store(quarantine.warehouse_settings, replayed(1, at=NOON + timedelta(hours=2)))

    assert ids(quarantine, status="all", limit=2) == ["r2", "r1"]
    assert found(quarantine, status="all", limit=2)["nextCursor"] is None


def test_list_tells_what_waits_from_what_was_replayed(quarantine: Api) -> None:
    store(quarantine.warehouse_settings, *(rejected(number) for number in (1, 2, 3)))
    store(quarantine.warehouse_settings, replayed(1), replayed(2, "rejected"), replayed(1, "rejected"))

    [item] = found(quarantine, status="replayed")["items"]

    assert (item["rejectionId"], item["status"], item["replayedAt"]) == ("r1", "replayed", "2026-01-31T13:00:00Z")
    assert ids(quarantine) == ["r3", "r2"]
    assert ids(quarantine, status="all") == ["r3", "r2", "r1"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"code": "too_long"}, ["r2"]),
        ({"source": "ios"}, ["r3"]),
        ({"eventName": 'it\'s \\ "odd"\n{x:String}'}, ["r4"]),
        ({"eventName": "' OR 1=1 --"}, []),
        ({"since": "2026-01-31T12:00:03Z"}, ["r4", "r3"]),
        ({"until": "2026-01-31T12:00:03"}, ["r2", "r1"]),
        ({"since": "2026-01-31T13:00:02+01:00", "until": "2026-01-31T12:00:04Z", "source": "web"}, ["r2"]),
        ({"since": "2026-02-01"}, []),
    ],
)
def test_list_is_filtered(quarantine: Api, query: dict[str, str], expected: list[str]) -> None:
    store(
        quarantine.warehouse_settings,
        rejected(1),
        rejected(2, code="too_long"),
        rejected(3, source="ios"),
        rejected(4, event_name='it\'s \\ "odd"\n{x:String}'),
    )

    assert ids(quarantine, **query) == expected


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"cursor": "x"}, "cursor"),
        ({"cursor": "WzFd"}, "cursor"),
        ({"cursor": "WzFlOTksImEiXQ=="}, "cursor"),
        ({"cursor": "Wzk5OTk5OTk5OTk5OTk5OTk5LCJhIl0="}, "cursor"),
        ({"limit": "0"}, "limit"),
        ({"status": "gone"}, "status"),
        ({"since": "yesterday"}, "since"),
        ({"since": "9999-01-01"}, "since"),
        ({"until": "1900-01-01"}, "until"),
        ({"sourse": "web"}, "sourse"),
    ],
)
def test_wrong_query_is_refused_by_its_field(quarantine: Api, query: dict[str, str], field: str) -> None:
    response = quarantine.client.get(PATH, params=query)

    assert response.status_code == 400, response.text
    assert [one["field"] for one in response.json()["errors"]] == [field]


def test_rejection_is_shown_with_its_payload_and_every_attempt(quarantine: Api) -> None:
    payload = '{"eventName": "page_view", "pad": "' + "x" * 1000 + '"}'
    store(quarantine.warehouse_settings, rejected(1, payload=payload), rejected(2))
    store(quarantine.warehouse_settings, replayed(1, "rejected"), replayed(1, at=NOON + timedelta(hours=2)))
    store(quarantine.warehouse_settings, replayed(1, "rejected"), replayed(2))

    shown = found(quarantine, "/r1")

    assert shown["payload"] == payload
    assert (shown["status"], shown["replayedAt"]) == ("replayed", "2026-01-31T14:00:00Z")
    assert [(one["outcome"], one["requestedBy"]) for one in shown["attempts"]] == [
        ("rejected", "ann"),
        ("accepted", "ann"),
    ]


def test_unknown_rejection_is_not_found(quarantine: Api) -> None:
    response = quarantine.client.get(f"{PATH}/nobody'--")

    assert (response.status_code, response.json()["code"]) == (404, "not_found")


def test_summary_counts_by_reason_and_source_and_tells_the_share_that_is_missing(quarantine: Api) -> None:
    store(
        quarantine.warehouse_settings,
        *(rejected(number) for number in range(3)),
        rejected(3, source="ios"),
        rejected(4, code="too_long"),
        rejected(9, received_at=NOON + timedelta(days=1)),
    )
    store(quarantine.warehouse_settings, rejected(0), replayed(4))
    moments = [("web", 0), ("web", 5), ("web", 6), ("backend", 7), ("web", 86_400)]
    accept(quarantine, *((f"a{second}", source, NOON + timedelta(seconds=second)) for source, second in moments))

    summary = found(quarantine, "/summary", until="2026-02-01T12:00:00Z")

    assert summary["since"] == "2026-01-31T12:00:00Z"
    assert summary["reasons"] == [
        {
            "code": "identity_missing",
            "source": "web",
            "rejectedCount": 3,
            "waitingCount": 3,
            "firstReceivedAt": "2026-01-31T12:00:00Z",
            "lastReceivedAt": "2026-01-31T12:00:02Z",
        },
        {
            "code": "identity_missing",
            "source": "ios",
            "rejectedCount": 1,
            "waitingCount": 1,
            "firstReceivedAt": "2026-01-31T12:00:03Z",
            "lastReceivedAt": "2026-01-31T12:00:03Z",
        },
        {
            "code": "too_long",
            "source": "web",
            "rejectedCount": 1,
            "waitingCount": 0,
            "firstReceivedAt": "2026-01-31T12:00:04Z",
            "lastReceivedAt": "2026-01-31T12:00:04Z",
        },
    ]
    counts = ("acceptedCount", "rejectedCount", "waitingCount", "rejectedShare")
    assert [summary[name] for name in counts] == [4, 5, 4, 0.5]
    assert {one["source"]: [one[name] for name in counts] for one in summary["sources"]} == {
        "web": [3, 4, 3, 0.5],
        "ios": [0, 1, 1, 1.0],
        "backend": [1, 0, 0, 0.0],
    }


def test_summary_without_a_span_is_about_the_last_day(quarantine: Api) -> None:
    now = datetime.now(UTC)
    store(quarantine.warehouse_settings, rejected(1, received_at=now - timedelta(hours=23)))
    store(quarantine.warehouse_settings, rejected(2, received_at=now - timedelta(hours=25)))

    assert found(quarantine, "/summary")["waitingCount"] == 1


def test_quarantine_that_never_held_anything_is_empty(quarantine: Api) -> None:
    assert found(quarantine) == {"items": [], "nextCursor": None}
    assert found(quarantine, "/summary")["rejectedShare"] == 0
