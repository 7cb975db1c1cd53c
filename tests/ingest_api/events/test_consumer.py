from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from ingest_api.events.consumer import Intent, StreamConsumer
from ingest_api.events.entries import Entry
from ingest_api.events.stream import GROUP, stream_keys
from tests.conftest import Valkey
from tests.ingest_api.events.conftest import Server
from tests.ingest_api.events.events_given import append
from tests.ingest_api.events.losing_proxy import LosingProxy


@pytest.fixture
def proxy(valkey: Valkey) -> Iterator[LosingProxy]:
    with LosingProxy(urlsplit(valkey.url).port or 6379, b"XREADGROUP") as proxy:
        yield proxy


def _consumer(redis: Redis, environment: str) -> StreamConsumer:
    consumer = StreamConsumer(redis, stream_keys(environment))
    consumer.join()
    return consumer


def test_consumer_reads_what_was_appended_before_the_first_flusher_came(
    valkey: Valkey, redis: Redis, environment: str
) -> None:
    append(valkey.url, environment, [["a", "b"], ["c"]])

    entries = _consumer(redis, environment).read(10, 0)

    assert [entry.count for entry in entries] == [2, 1]
    assert entries[1].tables["events"].startswith(b'{"event_id":"c"')


def test_consumer_gives_each_entry_to_one_member(valkey: Valkey, redis: Redis, environment: str) -> None:
    append(valkey.url, environment, [["a"], ["b"]])
    one, other = _consumer(redis, environment), _consumer(redis, environment)

    first, second, third = one.read(1, 0), other.read(1, 0), one.read(1, 0)

    assert [len(first), len(second), len(third)] == [1, 1, 0]
    assert first != second


def test_consumer_leaves_nothing_behind_when_it_acknowledges(valkey: Valkey, redis: Redis, environment: str) -> None:
    append(valkey.url, environment, [["a"], ["b"]])
    consumer = _consumer(redis, environment)
    ids = _ids(consumer.read(10, 0))
    consumer.fence("token", ids)

    consumer.acknowledge("token", ids)

    keys = stream_keys(environment)
    assert redis.xlen(keys.events) == 0
    assert redis.xpending(keys.events, GROUP)["pending"] == 0
    assert consumer.intents() == []


def test_consumer_knows_that_entries_may_have_come_in_an_answer_that_was_lost(
    valkey: Valkey, redis: Redis, environment: str, proxy: LosingProxy
) -> None:
    append(valkey.url, environment, [["a"], ["b"]])
    address = urlsplit(valkey.url)
    through_proxy = address._replace(netloc=f":{address.password}@127.0.0.1:{proxy.port}").geturl()
    with Redis.from_url(through_proxy, retry=Retry(NoBackoff(), 0)) as losing:
        consumer = _consumer(losing, environment)
        before = consumer.may_have_unseen
        proxy.lose(1, "after")
        with pytest.raises(RedisError):
            consumer.read(10, 0)

        entries = list(consumer.fetch(consumer.pending_ids()))

        assert (before, consumer.may_have_unseen) == (False, True)
        assert [b'"a"' in entry.tables["events"] for entry in entries] == [True, False]


def test_consumer_writes_down_what_it_is_about_to_insert(valkey: Valkey, redis: Redis, environment: str) -> None:
    append(valkey.url, environment, [["a"], ["b"], ["c"]])
    consumer = _consumer(redis, environment)
    ids = _ids(consumer.read(10, 0))

    lost = consumer.fence("token", ids[1:])

    assert lost == set()
    assert consumer.intents() == [Intent("token", consumer.name, [entry_id.decode() for entry_id in ids[1:]])]


def test_consumer_writes_nothing_down_when_some_entries_are_no_longer_its_own(
    valkey: Valkey, redis: Redis, environment: str
) -> None:
    append(valkey.url, environment, [["a"], ["b"], ["c"]])
    sleeper, heir = _consumer(redis, environment), _consumer(redis, environment)
    early = _ids(sleeper.read(2, 0))
    heir.claim_abandoned()
    late = _ids(sleeper.read(1, 0))

    lost = sleeper.fence("token", early + late)

    assert lost == set(early)
    assert sleeper.intents() == []
    assert sleeper.fence("another", late) == set()


def test_consumer_goes_on_without_a_note_when_valkey_is_full(server: Server, environment: str) -> None:
    append(server.url, environment, [["a"], ["b"]])
    with Redis.from_url(server.url) as redis:
        consumer = _consumer(redis, environment)
        ids = _ids(consumer.read(10, 0))
        redis.config_set("maxmemory", "1mb")

        lost = consumer.fence("token", ids)
        noted = consumer.intents()
        consumer.bury({b"line": b"x"}, "no room for this either")
        consumer.acknowledge("token", ids)

        assert (lost, noted) == (set(), [])
        assert redis.xlen(stream_keys(environment).events) == 0


def test_consumer_claims_only_from_the_dead(valkey: Valkey, redis: Redis, environment: str) -> None:
    append(valkey.url, environment, [["a"], ["b"]])
    dead, living, heir = (_consumer(redis, environment) for _ in range(3))
    abandoned = dead.read(1, 0)
    with living.alive():
        living.read(1, 0)

        claimed = heir.claim_abandoned()

        assert claimed == 1
        assert heir.pending_ids() == _ids(abandoned)
        assert heir.may_have_unseen


def test_consumer_claims_all_that_a_dead_one_held_and_forgets_it(
    valkey: Valkey, redis: Redis, environment: str
) -> None:
    append(valkey.url, environment, [[f"e{number}"] for number in range(100)])
    dead, heir, late_heir = (_consumer(redis, environment) for _ in range(3))
    ids = _ids(dead.read(100, 0))
    redis.xdel(stream_keys(environment).events, ids[0])

    with heir.alive():
        claimed = [heir.claim_abandoned(), late_heir.claim_abandoned()]

    names = [one["name"].decode() for one in redis.xinfo_consumers(stream_keys(environment).events, GROUP)]
    assert claimed == [100, 0]
    assert heir.pending_ids() == ids[1:]
    assert names == [heir.name]


def test_consumer_that_leaves_can_be_inherited_from_at_once(valkey: Valkey, redis: Redis, environment: str) -> None:
    append(valkey.url, environment, [["a"]])
    leaving, heir = _consumer(redis, environment), _consumer(redis, environment)
    with leaving.alive():
        leaving.read(1, 0)

    assert heir.claim_abandoned() == 1


def test_consumer_makes_the_group_again_when_valkey_was_emptied(valkey: Valkey, redis: Redis, environment: str) -> None:
    consumer = _consumer(redis, environment)
    redis.delete(stream_keys(environment).events)
    claimed = consumer.claim_abandoned()
    append(valkey.url, environment, [["a"]])
    redis.xgroup_destroy(stream_keys(environment).events, GROUP)

    entries = [*consumer.read(10, 0), *consumer.read(10, 0)]

    assert claimed == 0
    assert len(entries) == 1


def _ids(entries: list[Entry]) -> list[bytes]:
    return [entry.entry_id for entry in entries]
