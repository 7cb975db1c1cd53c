"""The flag routes under hostile requests: never a failure of the server, never a definition that cannot be evaluated.

`pytest --hypothesis-profile=thorough tests/ingest_api/flags/test_fuzz.py` sends 10,000 requests.
"""

import json
from collections import Counter
from datetime import UTC, datetime
from typing import Any

from hypothesis import HealthCheck, given, settings

from flags.codec import decode_flag, decode_segment, encode_flag, encode_segment
from flags.evaluation import ErrorCode
from flags.growthbook import payload
from flags.problems import DEFINITION_CODES
from flags.ruleset import Ruleset, user_of
from ingest_api.errors import PROBLEM_MEDIA_TYPE
from tests.ingest_api.conftest import Api
from tests.ingest_api.flags.conftest import EVALUATE, FLAGS, SEGMENTS
from tests.ingest_api.flags.hostile_definitions import Call, calls

_FEWEST_CALLS = 400
_USERS = [user_of(None), user_of("u1", {"country": "US", "plan": "pro", "age": 20, "tags": ["a"]}), user_of("u2", {})]


def stored(api: Api) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    flags, segments = (api.client.get(path).json()["items"] for path in (FLAGS, SEGMENTS))
    return flags, segments


def check_stored(api: Api) -> int:
    """Everything that was accepted is read, evaluated and given to SDKs without an error."""
    flag_documents, segment_documents = stored(api)
    flags = [decode_flag(one) for one in flag_documents]
    segments = [decode_segment(one) for one in segment_documents]
    assert [encode_flag(one) for one in flags] == flag_documents
    assert [encode_segment(one) for one in segments] == segment_documents
    now = datetime.now(UTC)
    ruleset = Ruleset(flags, segments)
    for user in _USERS:
        for answer in ruleset.evaluate_all(user, now):
            assert answer.error in (None, ErrorCode.TARGETING_KEY_MISSING), answer
    json.dumps(payload(ruleset, now, now), allow_nan=False)
    evaluated = api.client.post(EVALUATE, json={"userId": "u1"})
    assert evaluated.status_code == 200
    assert evaluated.json()["flags"].keys() == {one.key for one in flags}
    return len(flags)


def test_no_request_makes_the_server_fail_or_leaves_what_cannot_be_evaluated(flags: Api) -> None:
    statuses: Counter[int] = Counter()
    codes: Counter[str] = Counter()
    most_flags = 0

    @settings(
        max_examples=max(_FEWEST_CALLS, settings.default.max_examples if settings.default else 0),
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(call=calls())
    def send(call: Call) -> None:
        nonlocal most_flags
        answer = flags.client.request(call.method, call.path, params=call.query, content=call.body)
        assert answer.status_code < 500, (call, answer.text)
        statuses[answer.status_code] += 1
        if answer.status_code >= 400:
            problem = answer.json()
            assert answer.headers["content-type"] == PROBLEM_MEDIA_TYPE
            assert set(problem) >= {"type", "title", "status", "detail", "code", "errors"}
            if problem["code"] == "definition_invalid":
                assert {one["code"] for one in problem["errors"]} <= DEFINITION_CODES.keys()
            codes[problem["code"]] += 1
        if answer.status_code in (200, 201, 204) and call.method != "GET":
            most_flags = max(most_flags, check_stored(flags))

    send()

    # It reached what it was to try.
    assert most_flags >= 2
    assert statuses[201] + statuses[200] > 20
    assert codes["definition_invalid"] > 20
