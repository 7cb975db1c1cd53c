import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from ingest_api.events.consumer import StreamConsumer
from ingest_api.events.stream import GROUP, stream_keys
from tests.conftest import Valkey
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
    assert entries[1].lines.startswith(b'{"event_id":"c"')


def test_consumer_gives_each_entry_to_one_member(valkey: Valkey, redis: Redis, environment: str) -> None:
    append(valkey.url, environment, [["a"], ["b"]])
    one, other = _consumer(redis, environment), _consumer(redis, environment)

    first, second, third = one.read(1, 0), other.read(1, 0), one.read(1, 0)

    assert [b'"a"' in entry.lines for entry in first + second] == [True, False]
    assert third == []


def test_consumer_leaves_nothing_behind_when_it_acknowledges(valkey: Valkey, redis: Redis, environment: str) -> None:
    append(valkey.url, environment, [["a"], ["b"]])
    consumer = _consumer(redis, environment)

    consumer.acknowledge(consumer.read(10, 0))

    keys = stream_keys(environment)
    assert redis.xlen(keys.events) == 0
    assert redis.xpending(keys.events, GROUP)["pending"] == 0


def test_consumer_finds_the_entries_of_an_answer_that_was_lost(
    valkey: Valkey, redis: Redis, environment: str, proxy: LosingProxy
) -> None:
    append(valkey.url, environment, [["a"], ["b"]])
    address = urlsplit(valkey.url)
    through_proxy = address._replace(netloc=f":{address.password}@127.0.0.1:{proxy.port}").geturl()
    with Redis.from_url(through_proxy, retry=Retry(NoBackoff(), 0)) as losing:
        consumer = _consumer(losing, environment)
        proxy.lose(1, "after")
        with pytest.raises(RedisError):
            consumer.read(10, 0)

        unseen = consumer.read_unseen(10)
        consumer.acknowledge(unseen)

        assert [b'"a"' in entry.lines for entry in unseen] == [True, False]
        assert consumer.read_unseen(10) == []


def test_consumer_claims_only_from_the_dead(valkey: Valkey, redis: Redis, environment: str) -> None:
    append(valkey.url, environment, [["a"], ["b"]])
    dead, living, heir = (_consumer(redis, environment) for _ in range(3))
    dead.read(1, 0)
    with living.alive():
        living.read(1, 0)

        claimed = _claimed(heir)

        assert [b'"a"' in entry.lines for entry in claimed] == [True]


def test_consumer_that_leaves_can_be_inherited_from_at_once(valkey: Valkey, redis: Redis, environment: str) -> None:
    append(valkey.url, environment, [["a"]])
    leaving, heir = _consumer(redis, environment), _consumer(redis, environment)
    with leaving.alive():
        leaving.read(1, 0)

    claimed = _claimed(heir)

    assert len(claimed) == 1


def test_consumer_that_gave_no_sign_for_long_knows_it_once(redis: Redis, environment: str) -> None:
    silent = StreamConsumer(redis, stream_keys(environment))
    beating = StreamConsumer(redis, stream_keys(environment), alive_seconds=0.6)

    with beating.alive():
        time.sleep(0.3)
        assert not beating.may_have_been_replaced()
        redis.client_pause(1500)
        time.sleep(1.8)

        assert beating.may_have_been_replaced()
        assert not beating.may_have_been_replaced()
    assert silent.may_have_been_replaced()


def test_consumer_makes_the_group_again_when_valkey_was_emptied(valkey: Valkey, redis: Redis, environment: str) -> None:
    consumer = _consumer(redis, environment)
    redis.delete(stream_keys(environment).events)
    append(valkey.url, environment, [["a"]])

    entries = [*consumer.read(10, 0), *consumer.read(10, 0)]

    assert len(entries) == 1


def _claimed(heir: StreamConsumer) -> list[object]:
    """What an heir gets once the entries are old enough to be claimed."""
    while not (claimed := heir.claim_abandoned()):
        pass
    return list(claimed)
