"""How long it takes from writing a flag to another API process answering by it."""

import http.client
import time

import httpx
import msgspec

from local_stack.ports import LOOPBACK

_LONGEST_SECONDS = 10.0
_LOOK_SECONDS = 0.001


def seconds_to_changed_answers(editor: httpx.Client, port: int, write_key: str, key: str, writes: int) -> list[float]:
    """Change a flag so many times; for each, seconds from sending the change to another answer at `port`.

    Raises:
        TimeoutError: an answer did not change.
    """
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=30)
    waits = []
    try:
        for number in range(writes):
            value = f"value-{number}"
            begin = time.perf_counter()
            editor.patch(f"/api/feature-flags/flags/{key}", json={"value": value}).raise_for_status()
            while _answer(connection, write_key, key) != value:
                if time.perf_counter() - begin > _LONGEST_SECONDS:
                    raise TimeoutError(f"The answer was not {value} within {_LONGEST_SECONDS:g} s.")
                time.sleep(_LOOK_SECONDS)
            waits.append(time.perf_counter() - begin)
            # The next change must not always meet the same moment of whatever is done once a second.
            time.sleep(0.05 + number % 7 * 0.037)
    finally:
        connection.close()
    return waits


def wait_for_definitions(port: int, write_key: str, key: str) -> None:
    """Wait until the process at `port` knows a flag.

    Raises:
        TimeoutError: it does not hear of it.
    """
    headers, end = {"X-Write-Key": write_key}, time.monotonic() + _LONGEST_SECONDS
    address = f"http://{LOOPBACK}:{port}/api/feature-flags/flags/{key}/evaluate"
    while httpx.post(address, headers=headers, json={}).status_code != httpx.codes.OK:
        if time.monotonic() > end:
            raise TimeoutError(f"The process does not know {key} after {_LONGEST_SECONDS:g} s.")
        time.sleep(0.05)


def _answer(connection: http.client.HTTPConnection, write_key: str, key: str) -> object:
    headers = {"X-Write-Key": write_key, "Content-Type": "application/json"}
    connection.request("POST", f"/api/feature-flags/flags/{key}/evaluate", b'{"userId":"ann"}', headers)
    answer: dict[str, object] = msgspec.json.decode(connection.getresponse().read())
    return answer["value"]
