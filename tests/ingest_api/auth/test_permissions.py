"""Who may call which route, tried on the running API."""

import secrets
from datetime import UTC, datetime

import httpx
import pytest

from ingest_api.auth.access_list import POLL_SECONDS
from ingest_api.auth.roles import Permission, Role
from ingest_api.auth.tokens import sign
from tests.ingest_api.conftest import Api
from tests.ingest_api.serving import (
    bearer,
    claims_for,
    seconds_until,
    token_for,
    with_access,
    write_key_for,
)

ANY_CREDENTIAL = "any credential"
PERMISSION_OF = {
    ("GET", "/api/dashboard/bi/revenue"): Permission.ANALYTICS_READ,
    ("GET", "/api/dashboard/bi/performance"): Permission.ANALYTICS_READ,
    ("GET", "/api/dashboard/bi/kpis"): Permission.ANALYTICS_READ,
    ("POST", "/api/analytics/track"): Permission.EVENTS_WRITE,
    ("POST", "/api/analytics/track/batch"): Permission.EVENTS_WRITE,
    ("GET", "/api/analytics/schema"): ANY_CREDENTIAL,
    ("GET", "/api/analytics/quarantine"): Permission.QUARANTINE_READ,
    ("GET", "/api/analytics/quarantine/summary"): Permission.QUARANTINE_READ,
    ("GET", "/api/analytics/quarantine/{rejectionId}"): Permission.QUARANTINE_READ,
    ("POST", "/api/analytics/quarantine/replay"): Permission.QUARANTINE_REPLAY,
    ("GET", "/api/feature-flags/flags"): Permission.FLAGS_READ,
    ("POST", "/api/feature-flags/flags"): Permission.FLAGS_WRITE,
    ("GET", "/api/feature-flags/flags/stale"): Permission.FLAGS_READ,
    ("GET", "/api/feature-flags/flags/{key}"): Permission.FLAGS_READ,
    ("PUT", "/api/feature-flags/flags/{key}"): Permission.FLAGS_WRITE,
    ("PATCH", "/api/feature-flags/flags/{key}"): Permission.FLAGS_WRITE,
    ("DELETE", "/api/feature-flags/flags/{key}"): Permission.FLAGS_WRITE,
    ("GET", "/api/feature-flags/flags/{key}/history"): Permission.FLAGS_READ,
    ("POST", "/api/feature-flags/flags/{key}/revert"): Permission.FLAGS_WRITE,
    ("POST", "/api/feature-flags/flags/{key}/explain"): Permission.FLAGS_READ,
    ("GET", "/api/feature-flags/flags/{key}/scheduled-changes"): Permission.FLAGS_READ,
    ("POST", "/api/feature-flags/flags/{key}/scheduled-changes"): Permission.FLAGS_WRITE,
    ("DELETE", "/api/feature-flags/flags/{key}/scheduled-changes/{changeId}"): Permission.FLAGS_WRITE,
    ("POST", "/api/feature-flags/flags/{key}/evaluate"): Permission.FLAGS_EVALUATE,
    ("POST", "/api/feature-flags/evaluate"): Permission.FLAGS_EVALUATE,
    ("POST", "/ofrep/v1/evaluate/flags/{key}"): Permission.FLAGS_EVALUATE,
    ("POST", "/ofrep/v1/evaluate/flags"): Permission.FLAGS_EVALUATE,
    ("GET", "/api/feature-flags/segments"): Permission.FLAGS_READ,
    ("POST", "/api/feature-flags/segments"): Permission.FLAGS_WRITE,
    ("GET", "/api/feature-flags/segments/{key}"): Permission.FLAGS_READ,
    ("PUT", "/api/feature-flags/segments/{key}"): Permission.FLAGS_WRITE,
    ("PATCH", "/api/feature-flags/segments/{key}"): Permission.FLAGS_WRITE,
    ("DELETE", "/api/feature-flags/segments/{key}"): Permission.FLAGS_WRITE,
    ("GET", "/api/feature-flags/segments/{key}/history"): Permission.FLAGS_READ,
    ("POST", "/api/feature-flags/segments/{key}/revert"): Permission.FLAGS_WRITE,
    ("GET", "/api/feature-flags/export"): Permission.FLAGS_READ,
    ("POST", "/api/feature-flags/apply"): Permission.FLAGS_WRITE,
    ("GET", "/api/feature-flags/ab-tests"): Permission.FLAGS_READ,
    ("POST", "/api/feature-flags/ab-tests"): Permission.EXPERIMENTS_WRITE,
    ("POST", "/api/feature-flags/ab-tests/plan"): Permission.ANALYTICS_READ,
    ("GET", "/api/feature-flags/ab-tests/{id}"): Permission.FLAGS_READ,
    ("PATCH", "/api/feature-flags/ab-tests/{id}"): Permission.EXPERIMENTS_WRITE,
    ("DELETE", "/api/feature-flags/ab-tests/{id}"): Permission.EXPERIMENTS_WRITE,
    ("GET", "/api/feature-flags/ab-tests/{id}/history"): Permission.FLAGS_READ,
    ("POST", "/api/feature-flags/ab-tests/{id}/start"): Permission.EXPERIMENTS_WRITE,
    ("POST", "/api/feature-flags/ab-tests/{id}/pause"): Permission.EXPERIMENTS_WRITE,
    ("POST", "/api/feature-flags/ab-tests/{id}/resume"): Permission.EXPERIMENTS_WRITE,
    ("POST", "/api/feature-flags/ab-tests/{id}/complete"): Permission.EXPERIMENTS_WRITE,
    ("POST", "/api/feature-flags/ab-tests/{id}/archive"): Permission.EXPERIMENTS_WRITE,
    ("POST", "/api/feature-flags/ab-tests/{id}/assign"): Permission.FLAGS_EVALUATE,
    ("GET", "/api/feature-flags/ab-tests/{id}/results"): Permission.ANALYTICS_READ,
    ("GET", "/api/feature-flags/ab-tests/{id}/results.csv"): Permission.ANALYTICS_READ,
    ("POST", "/api/feature-flags/ab-tests/{id}/refresh"): Permission.EXPERIMENTS_WRITE,
    ("GET", "/metrics"): Permission.METRICS_READ,
    ("GET", "/health"): None,
    ("GET", "/health/live"): None,
    ("GET", "/health/ready"): None,
}
# Their credential is a part of the address: see the tests of GrowthBook's protocol.
BY_CLIENT_KEY = {
    ("GET", "/api/features/{clientKey}"),
    ("POST", "/api/eval/{clientKey}"),
    ("GET", "/sub/{clientKey}"),
}
# Written out here, not taken from the code: a slip in the code's table must not change what is expected.
ROLES_WITH = {
    ANY_CREDENTIAL: set(Role),
    Permission.ANALYTICS_READ: {Role.VIEWER, Role.ANALYST, Role.EDITOR, Role.ADMIN},
    Permission.EVENTS_WRITE: {Role.EDITOR, Role.ADMIN},
    Permission.EXPERIMENTS_WRITE: {Role.ANALYST, Role.EDITOR, Role.ADMIN},
    Permission.FLAGS_EVALUATE: set(Role),
    Permission.FLAGS_READ: set(Role),
    Permission.FLAGS_WRITE: {Role.EDITOR, Role.ADMIN},
    Permission.METRICS_READ: {Role.VIEWER, Role.ANALYST, Role.EDITOR, Role.ADMIN},
    Permission.QUARANTINE_READ: {Role.ANALYST, Role.EDITOR, Role.ADMIN},
    Permission.QUARANTINE_REPLAY: {Role.EDITOR, Role.ADMIN},
}
BODY_OF = {
    "/api/analytics/track": {"eventName": "page_view", "userId": "u"},
    "/api/analytics/track/batch": {"events": [{"eventName": "page_view", "userId": "u"}]},
    "/api/analytics/quarantine/replay": {"rejectionIds": ["nobody"]},
}


def send(api: Api, route: tuple[str, str], headers: dict[str, str]) -> httpx.Response:
    method, path = route
    return api.client.request(method, path, headers=headers, json=BODY_OF.get(path))


def test_table_lists_every_route_of_the_api(api: Api) -> None:
    paths = api.client.get("/openapi.json").json()["paths"]

    routes = {(method.upper(), path) for path, item in paths.items() for method in item} - BY_CLIENT_KEY

    assert routes == set(PERMISSION_OF)


@pytest.mark.parametrize("route", PERMISSION_OF, ids=str)
@pytest.mark.parametrize("role", Role)
def test_role_may_call_exactly_what_it_should(api: Api, role: Role, route: tuple[str, str]) -> None:
    needed = PERMISSION_OF[route]

    response = send(api, route, bearer(token_for(api.settings, role)))

    allowed = needed is None or role in ROLES_WITH[needed]
    assert (response.status_code == 403) is not allowed, response.text
    assert response.status_code != 401


@pytest.mark.parametrize("route", PERMISSION_OF, ids=str)
def test_write_key_may_only_send_events_read_their_plan_and_evaluate_flags(api: Api, route: tuple[str, str]) -> None:
    key, _ = write_key_for(api.settings, api.environment)
    needed = PERMISSION_OF[route]

    response = send(api, route, bearer(key))

    allowed = needed in (None, ANY_CREDENTIAL, Permission.EVENTS_WRITE, Permission.FLAGS_EVALUATE)
    assert (response.status_code == 403) is not allowed, response.text


@pytest.mark.parametrize("route", [route for route, needed in PERMISSION_OF.items() if needed], ids=str)
def test_route_is_closed_without_a_credential(api: Api, route: tuple[str, str]) -> None:
    response = send(api, route, {})

    assert response.status_code == 401
    assert response.headers["www-authenticate"] == 'Bearer realm="analytics"'
    # OpenFeature's protocol wants no body here.
    assert response.content == b"" if "/ofrep/" in route[1] else response.json()["code"] == "unauthenticated"


def test_openapi_document_says_which_routes_need_a_credential(api: Api) -> None:
    document = api.client.get("/openapi.json").json()

    for (method, path), needed in PERMISSION_OF.items():
        operation = document["paths"][path][method.lower()]
        assert bool(operation.get("security")) is (needed is not None), path
        for scheme in operation.get("security", []):
            assert set(scheme) <= set(document["components"]["securitySchemes"])


def test_write_key_is_read_from_the_address_for_browsers(api: Api) -> None:
    key, _ = write_key_for(api.settings, api.environment)

    response = api.client.post(
        "/api/analytics/track", params={"writeKey": key}, json={"eventName": "page_view", "userId": "u"}
    )

    assert response.status_code == 202, response.text


def test_unknown_write_key_is_refused(api: Api) -> None:
    response = api.client.post("/api/analytics/track", headers={"x-write-key": "wk_nobody"}, json={})

    assert (response.status_code, response.json()["code"]) == (401, "write_key_invalid")


def test_revoked_token_is_refused_within_two_seconds(api: Api) -> None:
    claims = claims_for(Role.ADMIN)
    headers = bearer(sign(claims, api.settings.jwt_secret))
    with_access(api.settings, api.environment, lambda store: store.add_token(claims, datetime.now(UTC)))
    track = ("POST", "/api/analytics/track")
    assert send(api, track, headers).status_code == 202

    with_access(api.settings, api.environment, lambda store: store.revoke_token(claims.token_id, datetime.now(UTC)))
    waited = seconds_until(lambda: send(api, track, headers).status_code == 401)

    assert waited < POLL_SECONDS + 1
    assert send(api, track, headers).json()["code"] == "token_revoked"


def test_revoked_write_key_is_refused_within_two_seconds(api: Api) -> None:
    key, key_id = write_key_for(api.settings, api.environment)
    track = ("POST", "/api/analytics/track")
    assert send(api, track, bearer(key)).status_code == 202

    with_access(api.settings, api.environment, lambda store: store.revoke_key(key_id, datetime.now(UTC)))
    waited = seconds_until(lambda: send(api, track, bearer(key)).status_code == 401)

    assert waited < POLL_SECONDS + 1
    assert send(api, track, bearer(key)).json()["code"] == "write_key_revoked"


def test_credential_of_another_environment_is_refused(api: Api) -> None:
    key, _ = write_key_for(api.settings, f"test_{secrets.token_hex(4)}")

    response = send(api, ("POST", "/api/analytics/track"), bearer(key))

    assert response.status_code == 401
