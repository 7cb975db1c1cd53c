"""Who changed what: at once from Valkey, later from the warehouse; and going back."""

from redis import Redis

from tests.conftest import Valkey
from tests.ingest_api.conftest import Api
from tests.ingest_api.events.events_given import running
from tests.ingest_api.events.flushers_given import flusher_given
from tests.ingest_api.flags.conftest import FLAGS, SEGMENTS
from tests.ingest_api.flags.definitions_given import created, created_segment, for_segment, value_of
from tests.ingest_api.serving import seconds_until
from warehouse.client import connect


def changes_stored(api: Api, key: str) -> int:
    client = connect(api.warehouse_settings)
    table = f"{api.warehouse_settings.database('raw')}.definition_changes"
    [[count]] = client.query(f"SELECT uniqExact(change_id) FROM {table} WHERE key = '{key}'").result_rows
    client.close()
    return int(count)


def history_key(api: Api, key: str) -> str:
    return f"{{{api.environment}}}:definitions:history:flag:{key}"


def test_history_has_each_change_as_soon_as_it_is_made(flags: Api) -> None:
    first = created(flags.client, "h1")
    second = flags.client.patch(f"{FLAGS}/h1", json={"rolloutPercentage": 5}, params={"comment": "slowly"}).json()
    flags.client.delete(f"{FLAGS}/h1")

    items = flags.client.get(f"{FLAGS}/h1/history").json()["items"]

    assert [(one["version"], one["action"], one["actor"], one["comment"]) for one in items] == [
        (3, "deleted", "alice", ""),
        (2, "updated", "alice", "slowly"),
        (1, "created", "alice", ""),
    ]
    assert [(one["before"], one["after"]) for one in items] == [(second, None), (first, second), (None, first)]


def test_history_comes_in_pages(flags: Api) -> None:
    created(flags.client, "h2")
    for percentage in range(6):
        flags.client.patch(f"{FLAGS}/h2", json={"rolloutPercentage": percentage})

    first = flags.client.get(f"{FLAGS}/h2/history", params={"limit": 4}).json()
    second = flags.client.get(f"{FLAGS}/h2/history", params={"limit": 4, "cursor": first["nextCursor"]}).json()

    assert [one["version"] for one in first["items"]] == [7, 6, 5, 4]
    assert [one["version"] for one in second["items"]] == [3, 2, 1]
    assert second["nextCursor"] is None


def test_history_refuses_a_cursor_that_it_did_not_give(flags: Api) -> None:
    created(flags.client, "h3")

    assert flags.client.get(f"{FLAGS}/h3/history", params={"cursor": "eHg="}).status_code == 400


def test_changes_reach_the_warehouse_and_are_read_from_there_when_valkey_has_them_no_more(
    flags: Api, valkey: Valkey
) -> None:
    created(flags.client, "h4", description="ä \U0001f600 \x00")
    flags.client.patch(f"{FLAGS}/h4", json={"name": "Four"})
    known = flags.client.get(f"{FLAGS}/h4/history").json()["items"]

    with running(flusher_given(valkey.url, flags.warehouse_settings)):
        seconds_until(lambda: changes_stored(flags, "h4") == 2, 30)
    with Redis.from_url(valkey.url) as redis:
        redis.delete(history_key(flags, "h4"))
    flags.client.patch(f"{FLAGS}/h4", json={"name": "Vier"})
    items = flags.client.get(f"{FLAGS}/h4/history").json()["items"]

    assert [one["version"] for one in items] == [3, 2, 1]
    assert items[1:] == known


def test_more_changes_than_valkey_keeps_are_read_from_the_warehouse(flags: Api, valkey: Valkey) -> None:
    created(flags.client, "h5")
    for number in range(104):
        flags.client.patch(f"{FLAGS}/h5", json={"rolloutPercentage": number % 100})

    with running(flusher_given(valkey.url, flags.warehouse_settings)):
        seconds_until(lambda: changes_stored(flags, "h5") == 105, 30)
    items = flags.client.get(f"{FLAGS}/h5/history", params={"limit": 1000}).json()["items"]

    assert [one["version"] for one in items] == list(range(105, 0, -1))


def test_revert_makes_a_flag_what_it_was(flags: Api) -> None:
    first = created(flags.client, "r1", rolloutPercentage=10, tags=["a"])
    flags.client.patch(f"{FLAGS}/r1", json={"rolloutPercentage": 90, "tags": ["b"]})

    answer = flags.client.post(f"{FLAGS}/r1/revert", json={"toVersion": 1, "version": 2})

    assert answer.status_code == 200, answer.text
    assert answer.json() == first | {"version": 3, "updatedAt": answer.json()["updatedAt"]}
    newest = flags.client.get(f"{FLAGS}/r1/history").json()["items"][0]
    assert (newest["action"], newest["comment"]) == ("reverted", "Back to version 1")


def test_revert_brings_a_deleted_flag_back(flags: Api) -> None:
    first = created(flags.client, "r2", createdBy="admin")
    flags.client.delete(f"{FLAGS}/r2")

    answer = flags.client.post(f"{FLAGS}/r2/revert", json={"toVersion": 1})

    assert answer.status_code == 200, answer.text
    assert answer.json() == first | {"version": 3, "updatedAt": answer.json()["updatedAt"]}
    assert value_of(flags.client, "r2") is True


def test_revert_refuses_what_cannot_be_gone_back_to(flags: Api) -> None:
    created(flags.client, "r3")
    flags.client.delete(f"{FLAGS}/r3")
    created(flags.client, "r3")

    def reverted(**body: int) -> tuple[int, str]:
        answer = flags.client.post(f"{FLAGS}/r3/revert", json=body)
        return answer.status_code, answer.json()["code"]

    assert reverted(toVersion=9) == (404, "version_not_found")
    assert reverted(toVersion=2) == (400, "input_invalid")
    assert reverted(toVersion=1, version=1) == (409, "version_stale")
    assert reverted(toVersion=0) == (400, "input_invalid")


def test_revert_is_refused_when_what_the_flag_needed_is_gone(flags: Api) -> None:
    created_segment(flags.client)
    created(flags.client, "r4", rules=for_segment("beta"))
    flags.client.put(f"{FLAGS}/r4", json={"name": "r4", "version": 1})
    flags.client.delete(f"{SEGMENTS}/beta")

    answer = flags.client.post(f"{FLAGS}/r4/revert", json={"toVersion": 1})

    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "segment_unknown")
