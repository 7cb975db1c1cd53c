"""Many who change the same flag at once."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from threading import Barrier

import httpx

from local_stack.processes import free_port
from tests.ingest_api.conftest import Api
from tests.ingest_api.flags.conftest import FLAGS
from tests.ingest_api.flags.definitions_given import created
from tests.ingest_api.serving import serving

WRITERS = 32


@contextmanager
def second_api(api: Api) -> Iterator[httpx.Client]:
    """Another API on the same definitions."""
    settings = api.settings.model_copy(update={"port": free_port()})
    with serving(settings, api.warehouse_settings) as client:
        client.headers.update(api.client.headers)
        yield client


def test_no_change_is_lost_when_many_change_other_members_at_once(flags: Api) -> None:
    """Through two API processes, so that no lock within one can be what saves them."""
    version = created(flags.client, rules=[{"id": f"r{number}", "force": False} for number in range(WRITERS)])[
        "version"
    ]

    with second_api(flags) as other:
        barrier = Barrier(WRITERS)

        def change(number: int) -> int:
            client = (flags.client, other)[number % 2]
            barrier.wait()
            answers = [
                client.patch(f"{FLAGS}/dark_mode", json={name: f"{name} of {number}"})
                for name in ("owner", "description")
            ]
            return sum(answer.status_code == 200 for answer in answers)

        with ThreadPoolExecutor(WRITERS) as writers:
            made = list(writers.map(change, range(WRITERS)))

    assert made == [2] * WRITERS
    history = flags.client.get(f"{FLAGS}/dark_mode/history").json()["items"][: 2 * WRITERS]
    assert [one["version"] for one in history] == list(range(version + 2 * WRITERS, version, -1))
    assert {one["after"]["owner"] for one in history} >= {f"owner of {number}" for number in range(WRITERS)}
    for later, earlier in pairwise(history):
        assert later["before"] == earlier["after"]


def test_exactly_one_wins_when_many_change_the_version_that_they_all_read(flags: Api) -> None:
    version = created(flags.client)["version"]

    with second_api(flags) as other:
        barrier = Barrier(WRITERS)

        def change(number: int) -> int:
            client = (flags.client, other)[number % 2]
            body = {"name": f"name of {number}", "type": "boolean", "version": version}
            barrier.wait()
            return client.put(f"{FLAGS}/dark_mode", json=body).status_code

        with ThreadPoolExecutor(WRITERS) as writers:
            statuses = list(writers.map(change, range(WRITERS)))

    assert sorted(statuses) == [200] + [409] * (WRITERS - 1)
    stored = flags.client.get(f"{FLAGS}/dark_mode").json()
    assert stored["name"] == f"name of {statuses.index(200)}"
    assert stored["version"] == version + 1


def test_exactly_one_creates_a_flag(flags: Api) -> None:
    barrier = Barrier(WRITERS)

    def create(number: int) -> int:
        barrier.wait()
        return flags.client.post(FLAGS, json={"key": "dark_mode", "name": f"name of {number}"}).status_code

    with ThreadPoolExecutor(WRITERS) as writers:
        statuses = list(writers.map(create, range(WRITERS)))

    assert sorted(statuses) == [201] + [409] * (WRITERS - 1)


def test_two_who_make_flags_need_each_other_do_not_both_succeed(flags: Api) -> None:
    """Neither change is a cycle by itself; together they are one."""
    for _ in range(5):
        for key in ("a", "b"):
            if flags.client.get(f"{FLAGS}/{key}").status_code == 404:
                created(flags.client, key)
            flags.client.patch(f"{FLAGS}/{key}", json={"prerequisites": []})
        barrier = Barrier(2)

        def change(pair: tuple[str, str], barrier: Barrier = barrier) -> int:
            barrier.wait()
            return flags.client.patch(f"{FLAGS}/{pair[0]}", json={"prerequisites": [{"flag": pair[1]}]}).status_code

        with ThreadPoolExecutor(2) as writers:
            statuses = sorted(writers.map(change, [("a", "b"), ("b", "a")]))

        assert statuses == [200, 400]
