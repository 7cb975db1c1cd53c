"""Every process is killed while clients post: what was acknowledged is stored, and stored under one id once."""

import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

import httpx

from local_stack.event_stream import wait_until_drained
from local_stack.process import Process
from local_stack.stack import Stack
from local_stack.startup import apply_migrations, issue_access, start_engines, start_ingest
from local_stack.valkey_server import valkey_url
from tests.journeys.conftest import Journey

CLIENT_COUNT = 3
BATCH_SIZE = 20


@dataclass
class Client(threading.Thread):
    """Posts batches one after the other and repeats each until it is acknowledged."""

    journey: Journey
    number: int
    stopping: threading.Event
    sent: list[str] = field(default_factory=list)
    acknowledged: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    __hash__ = threading.Thread.__hash__

    def run(self) -> None:
        access = self.journey.access
        headers = {"x-write-key": access.write_key}
        batch_number = 0
        with httpx.Client(base_url=access.api_url, headers=headers, timeout=30, trust_env=False) as http:
            while not self.stopping.is_set():
                ids = [f"c{self.number}-b{batch_number}-e{number}" for number in range(BATCH_SIZE)]
                events = [{"eventName": "tick", "userId": "u", "eventId": one} for one in ids]
                self.sent += ids
                batch_number += 1
                self._post_until_acknowledged(http, events, ids)
                time.sleep(0.01)

    def _post_until_acknowledged(self, http: httpx.Client, events: list[dict[str, str]], ids: list[str]) -> None:
        while not self.stopping.is_set():
            try:
                answer = http.post("/api/analytics/track/batch", json={"events": events})
            except httpx.TransportError:
                time.sleep(0.05)
                continue
            if answer.status_code == 202:
                self.acknowledged += ids
                return
            if answer.status_code != 503:
                self.refused.append(answer.text)
                return
            time.sleep(0.05)


def restart(process: Process, pause_seconds: float) -> Process:
    process.kill()
    time.sleep(pause_seconds)
    return Process(process.program)


def test_acknowledged_events_survive_the_kill_of_each_process(journey: Journey) -> None:
    programs = journey.programs
    chance = random.Random(7)
    stopping = threading.Event()
    with Stack() as stack:
        start_engines(stack, programs, lambda _: None)
        apply_migrations(programs)
        start_ingest(stack, programs)
        issue_access(programs)
        clients = [Client(journey, number, stopping) for number in range(CLIENT_COUNT)]
        for client in clients:
            client.start()
        try:
            for name in ("api", "flusher", "valkey", "clickhouse", "flusher"):
                time.sleep(chance.uniform(0.4, 1.2))
                index = next(number for number, process in enumerate(stack.processes) if process.name == name)
                stack.processes[index] = restart(stack.processes[index], chance.uniform(0, 0.4))
            stack.wait_healthy(stack.processes)
            time.sleep(0.5)
        finally:
            stopping.set()
            for client in clients:
                client.join()
        url = valkey_url(programs.settings.ports.valkey, programs.credentials.valkey_password)
        wait_until_drained(url, programs.settings.database, stack.pulse)
        rows = Counter(journey.stored_event_ids())
        for process in reversed(stack.processes):
            process.stop()

    acknowledged = {one for client in clients for one in client.acknowledged}
    sent = {one for client in clients for one in client.sent}
    assert [text for client in clients for text in client.refused] == []
    assert len(acknowledged) > 100
    assert acknowledged - rows.keys() == set()
    assert rows.keys() - sent == set()
    # Only a client that heard no answer and sent again may have stored an event twice.
    assert sum(rows.values()) - len(rows) < len(sent) / 2
