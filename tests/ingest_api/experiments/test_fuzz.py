"""The routes of experiments under hostile requests: never a failure of the server, never one that cannot be assigned.

`pytest --hypothesis-profile=thorough tests/ingest_api/experiments/test_fuzz.py` sends 10,000 requests.
"""

import json
from collections import Counter
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flags.assignment import compile_assignment
from flags.experiment_codec import decode_experiment, encode_experiment
from flags.problems import DEFINITION_CODES
from flags.ruleset import user_of
from ingest_api.errors import PROBLEM_MEDIA_TYPE
from tests.flags.experiments_given import experiment_documents
from tests.ingest_api.conftest import Api
from tests.ingest_api.experiments.conftest import TESTS
from tests.ingest_api.experiments.experiments_made import created
from tests.ingest_api.flags.hostile_definitions import Call, bent, json_values

_FEWEST_CALLS = 200
_KEYS = st.sampled_from(["e0", "e0", "e0", "e1", "e1", "e1", "e2", "absent", "%00", "ä", "x" * 300, "plan"])
_USERS = [user_of("u1", {"country": "US", "plan": "pro"}), user_of("u2", {}), user_of("u3", {"company": "acme"})]
_STEP_BODIES = st.fixed_dictionaries(
    {}, optional={"variantId": st.sampled_from(["a", "b", None]) | json_values(), "comment": st.text(max_size=5)}
)
_PLANS = st.fixed_dictionaries(
    {"minimumDetectableEffect": st.sampled_from([0.1, 1e-300, 10]) | json_values()},
    optional={
        "baseline": st.sampled_from([0.1, 1e-300, 1e300, -5]) | json_values(),
        "type": st.sampled_from(["conversion", "revenue"]),
        "variance": st.sampled_from([1, 1e-300, 1e300]) | json_values(),
        "usersPerDay": st.sampled_from([1, 1e-300, 1e12]),
        "experimentId": st.sampled_from(["one", "e0"]) | json_values(),
    },
)
_PATCHES = st.dictionaries(st.sampled_from(["name", "variants", "coverage", "status"]), json_values(), max_size=2)
_RIGHT_PATCHES = st.fixed_dictionaries({"coverage": st.sampled_from([0, 0.2, 1])})
_NOTHING = st.just(None)
# Method, what comes behind the address of one experiment (None: the address of all), and the body.
_CALLS: list[tuple[str, str | None, st.SearchStrategy[Any]]] = [
    ("POST", None, bent(experiment_documents())),
    ("POST", None, experiment_documents()),
    ("PATCH", "", bent(experiment_documents())),
    ("PATCH", "", _PATCHES),
    ("PATCH", "", _RIGHT_PATCHES),
    *(("POST", f"/{step}", st.just({})) for step in ("start", "pause", "resume", "complete", "archive")),
    ("POST", "/complete", _STEP_BODIES),
    ("POST", "/pause", _STEP_BODIES),
    ("POST", "/assign", st.fixed_dictionaries({"userId": st.just("u1") | json_values()})),
    ("POST", "/plan", _PLANS),
    ("DELETE", "", _NOTHING),
    ("GET", "/history", _NOTHING),
]


@st.composite
def calls(draw: st.DrawFn) -> Call:
    method, behind, body = draw(st.sampled_from(_CALLS))
    key = "" if behind is None else "/plan" if behind == "/plan" else f"/{draw(_KEYS)}{behind}"
    return Call(method, f"{TESTS}{key}", json.dumps(draw(body), ensure_ascii=True).encode())


def check_stored(api: Api) -> int:
    """Everything that was accepted is read back as it is, and assigns users."""
    stored = api.client.get(TESTS).json()["items"]
    for one in stored:
        experiment = decode_experiment(one)
        assert encode_experiment(experiment) == one
        assert all(compile_assignment(experiment)(user).variant in experiment.variants for user in _USERS)
        assert (experiment.status == "running") is any(phase.ended_at is None for phase in experiment.phases)
    return len(stored)


def test_no_request_makes_the_server_fail_or_leaves_what_cannot_be_assigned(experiments: Api) -> None:
    statuses: Counter[int] = Counter()
    codes: Counter[str] = Counter()
    most = 0
    for key in ("e0", "e1"):
        created(experiments.client, key)

    @settings(
        max_examples=max(_FEWEST_CALLS, settings.default.max_examples if settings.default else 0),
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(call=calls())
    def send(call: Call) -> None:
        nonlocal most
        headers = {"content-type": "application/json"}
        answer = experiments.client.request(call.method, call.path, content=call.body, headers=headers)
        statuses[answer.status_code] += 1
        # Traffic is not known here: that is no failure. Nothing else may be.
        assert answer.status_code < 500 or answer.json()["code"] == "marts_not_built", (call, answer.text)
        if answer.status_code >= 400:
            problem = answer.json()
            assert answer.headers["content-type"] == PROBLEM_MEDIA_TYPE
            if problem["code"] == "definition_invalid":
                assert {one["code"] for one in problem["errors"]} <= DEFINITION_CODES.keys()
            codes[problem["code"]] += 1
        elif call.method != "GET":
            most = max(most, check_stored(experiments))

    send()

    # It reached what it was to try.
    assert most >= 2
    assert statuses[201] + statuses[200] > 5
    assert codes["definition_invalid"] > 5
    assert codes["experiment_status"] > 0
