"""The track routes under hostile bodies: never a failure of the server, never an event whose whereabouts are unknown.

`pytest --hypothesis-profile=thorough tests/ingest_api/events/test_fuzz.py` sends 10,000 bodies.
"""

from collections import Counter

import httpx
from hypothesis import HealthCheck, given, settings
from redis import Redis

from ingest_api.events.entries import unpack
from ingest_api.events.payload import REJECTION_CODES
from ingest_api.events.stream import stream_keys
from tests.conftest import Valkey
from tests.ingest_api.conftest import Api
from tests.ingest_api.events.events_given import running
from tests.ingest_api.events.flushers_given import eventually, flusher_given
from tests.ingest_api.events.hostile_bodies import HostileBody, hostile_bodies
from tests.ingest_api.serving import write_key_for
from warehouse.client import connect

_FEWEST_BODIES = 400
_REFUSED = {
    400: {"json_invalid", "encoding_invalid", "compression_invalid", "events_missing", "events_too_many"},
    413: {"body_too_large"},
}
"""Codes of a body of which nothing is kept."""


class _Account:
    """What the answers said."""

    def __init__(self) -> None:
        self.accepted: Counter[str] = Counter()
        self.rejected: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()

    def enter(self, body: HostileBody, answer: httpx.Response) -> None:
        """Enter one answer; fails when it does not account for each event of the body."""
        told = answer.json()
        accepted: list[str] = []
        rejected: list[str] = []
        if answer.status_code == 202:
            verdicts = told.get("events", [told])
            accepted = [one["eventId"] for one in verdicts if one["status"] == "accepted"]
            rejected = [one["rejectionId"] for one in verdicts if one["status"] == "rejected"]
            assert told.get("accepted", 1) == len(accepted)
            assert told.get("rejected", 0) == len(rejected)
            assert {one["code"] for one in verdicts if one["status"] == "rejected"} <= REJECTION_CODES.keys()
        elif told["errors"]:
            assert answer.status_code == 400
            assert {one["code"] for one in told["errors"]} <= REJECTION_CODES.keys()
            rejected = [one["rejectionId"] for one in told["errors"]]
        else:
            assert told["code"] in _REFUSED[answer.status_code], told
            self.refused[told["code"]] += 1
        if (count := body.event_count()) is not None:
            assert len(accepted) + len(rejected) == count, told
        self.accepted.update(accepted)
        self.rejected.update(rejected)


def test_every_event_of_any_body_is_stored_or_quarantined_or_refused_with_a_reason(
    api: Api, redis: Redis, valkey: Valkey
) -> None:
    key = write_key_for(api.settings, api.environment)[0]
    account = _Account()

    @settings(
        max_examples=max(_FEWEST_BODIES, settings().max_examples),
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(hostile_bodies())
    def post(body: HostileBody) -> None:
        account.enter(
            body, api.client.post(body.path, content=body.content, headers={"x-write-key": key} | body.headers)
        )

    post()

    keys = stream_keys(api.environment)
    in_stream = sum(unpack(entry_id, fields).count for entry_id, fields in redis.xrange(keys.events))
    with running(flusher_given(valkey.url, api.warehouse_settings, batch_size=1)):
        eventually(lambda: redis.xlen(keys.events) == 0, 120)
    raw, client = api.warehouse_settings.database("raw"), connect(api.warehouse_settings)
    stored = Counter(row[0] for row in client.query(f"SELECT event_id FROM {raw}.events").result_rows)
    quarantined = Counter(row[0] for row in client.query(f"SELECT rejection_id FROM {raw}.rejected_events").result_rows)
    client.close()
    print(f"{account.accepted.total()} accepted, {account.rejected.total()} rejected, {dict(account.refused)} refused")
    assert in_stream == account.accepted.total()
    assert stored == account.accepted
    assert quarantined == account.rejected
    assert redis.xlen(keys.dead_letters) == 0
    assert min(account.accepted.total(), account.rejected.total(), account.refused.total()) > _FEWEST_BODIES / 20
