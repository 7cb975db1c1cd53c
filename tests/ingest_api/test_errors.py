"""Every error has one shape, and none tells more than it should."""

import json
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from structlog.testing import capture_logs

from ingest_api import errors
from ingest_api.auth.roles import Role
from ingest_api.errors import (
    ApiError,
    BodyTooLarge,
    FieldError,
    InputInvalid,
    MartsNotBuilt,
    PermissionMissing,
    StreamAway,
    Unauthenticated,
    problem_from,
    send_problem,
)
from local_stack.processes import free_port
from tests.ingest_api.conftest import Api
from tests.ingest_api.serving import api_settings, bearer, nowhere, serving, token_for
from warehouse.client import StatementRefused, WarehouseUnavailable

MEMBERS = ["type", "title", "status", "detail", "code", "errors"]
SECRET_SQL = "SELECT password FROM users"


def assert_problem(response: httpx.Response, status: int, code: str | None = None) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert list(problem)[: len(MEMBERS)] == MEMBERS
    assert problem["status"] == status
    assert problem["type"] == f"urn:analytics:problem:{problem['code']}"
    assert code is None or problem["code"] == code
    return problem


@pytest.mark.parametrize(
    ("error", "status", "header"),
    [
        (InputInvalid("no"), 400, None),
        (Unauthenticated("no"), 401, "www-authenticate"),
        (PermissionMissing("no"), 403, None),
        (BodyTooLarge("no"), 413, None),
        (StreamAway("no"), 503, "retry-after"),
        (MartsNotBuilt("no"), 503, "retry-after"),
        (WarehouseUnavailable(SECRET_SQL), 503, "retry-after"),
        (StatementRefused(SECRET_SQL, 62), 500, None),
        (KeyError(SECRET_SQL), 500, None),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_error_becomes_a_problem(error: Exception, status: int, header: str | None) -> None:
    problem = problem_from(error, {"path": "/x", "headers": []})

    body = json.loads(problem.body)
    assert (problem.status, body["status"]) == (status, status)
    assert list(body)[: len(MEMBERS)] == MEMBERS
    assert SECRET_SQL not in problem.body.decode()
    assert header is None or header in problem.headers


def test_problem_names_each_wrong_field() -> None:
    error = InputInvalid(
        "two", errors=[FieldError("events[3].eventName", "is missing", "missing"), FieldError("a", "b")]
    )

    body = json.loads(problem_from(error, {}).body)

    assert body["errors"] == [
        {"field": "events[3].eventName", "message": "is missing", "code": "missing"},
        {"field": "a", "message": "b"},
    ]


def test_unforeseen_error_is_logged_under_the_request_id_that_its_answer_carries() -> None:
    scope = {"path": "/x", "headers": [(b"x-request-id", b"from-the-proxy")]}

    with capture_logs() as lines:
        body = json.loads(problem_from(RuntimeError(SECRET_SQL), scope).body)

    assert body["requestId"] == "from-the-proxy"
    assert lines[0]["request_id"] == "from-the-proxy"
    assert SECRET_SQL in str(lines[0]["exc_info"])


@pytest.mark.parametrize("forged", [b"a b", b"x" * 65, b'"}\n', b""])
def test_request_id_is_made_here_when_the_one_sent_is_not_plain(forged: bytes) -> None:
    body = json.loads(problem_from(RuntimeError(), {"headers": [(b"x-request-id", forged)]}).body)

    assert len(body["requestId"]) == 32


async def test_handler_that_fails_answers_500_without_its_reason() -> None:
    app = FastAPI()
    errors.install(app)

    @app.get("/fail")
    async def fail() -> None:
        raise RuntimeError(SECRET_SQL)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        response = await client.get("/fail")

    problem = assert_problem(response, 500, "internal_error")
    assert SECRET_SQL not in response.text
    assert len(problem["requestId"]) == 32


async def test_raw_route_answers_the_same_problem() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    await send_problem(send, BodyTooLarge("more than 1 MiB"), {})

    assert sent[0]["status"] == 413
    assert dict(sent[0]["headers"])[b"content-type"] == b"application/problem+json"
    assert json.loads(sent[1]["body"])["detail"] == "more than 1 MiB"


def test_every_subclass_has_a_code_of_its_own() -> None:
    classes = [ApiError]
    for one in classes:
        classes.extend(one.__subclasses__())

    codes = [one.code for one in classes]

    assert len(codes) == len(set(codes))


def test_unknown_address_and_method_are_problems(api: Api) -> None:
    assert_problem(api.client.get("/api/nothing"), 404, "not_found")
    refused = api.client.delete("/health")
    assert_problem(refused, 405, "method_not_allowed")
    assert refused.headers["allow"] == "GET"


TAKES_NO_INPUT = {
    "/health",
    "/health/live",
    "/health/ready",
    "/metrics",
    "/api/analytics/schema",
    "/api/feature-flags/export",
}
# Whose forms of errors have tests of their own.
OF_OTHER_PROTOCOLS = ("/ofrep/", "/api/features/", "/api/eval/", "/sub/")


def test_every_route_answers_a_problem_to_bad_input(api: Api) -> None:
    document = api.client.get("/openapi.json").json()
    headers = bearer(token_for(api.settings, Role.ADMIN))

    for path, item in document["paths"].items():
        for method in item:
            if path in TAKES_NO_INPUT or path.startswith(OF_OTHER_PROTOCOLS):
                continue
            body = b"{" if method == "post" else None
            response = api.client.request(method, path, params={"startDate": "soon"}, content=body, headers=headers)
            # What the address names is looked for first, or what the body says.
            assert_problem(response, response.status_code if response.status_code == 404 and "{" in path else 400)
            assert "Traceback" not in response.text


def test_closed_route_answers_503_with_retry_after_when_credentials_cannot_be_checked() -> None:
    settings = api_settings(f"redis://127.0.0.1:{free_port()}")
    with serving(settings, nowhere()) as client:
        response = client.get("/api/dashboard/bi/revenue", headers=bearer(token_for(settings, Role.ADMIN)))

    assert_problem(response, 503, "access_unverifiable")
    assert int(response.headers["retry-after"]) > 0
