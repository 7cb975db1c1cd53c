"""What can go wrong, in domain words, and the one shape in which HTTP tells it: RFC 9457 `application/problem+json`.

This is the only module that knows HTTP statuses. Handlers raise; ordinary routes are answered by the handlers that
`install` registers, raw ASGI routes call `send_problem`.
"""

import re
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from http import HTTPStatus

import msgspec
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import Field
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from flags.problems import DefinitionInvalid
from ingest_api.camel_model import CamelModel
from warehouse.client import WarehouseUnavailable

PROBLEM_MEDIA_TYPE = "application/problem+json"
_RETRY_AFTER_SECONDS = 5
_MOST_IN_DETAIL = 3
_OWN_WORDS = {"extra_forbidden": "is not known here", "missing": "is missing"}
_REQUEST_ID = re.compile(rb"^[A-Za-z0-9._-]{1,64}$")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class FieldError:
    """One wrong member of a request. `field` is its path, for example `events[3].eventName` or `startDate`."""

    field: str
    message: str
    code: str = ""
    """Stable name of what is wrong with it, where there is one."""
    rejection_id: str = ""
    """Where what was sent is kept in the quarantine, if it is."""


class ApiError(Exception):
    """A request that cannot be served as asked, for a reason the caller may read. Raise one of its subclasses."""

    status = 500
    code = "internal_error"
    title = "The server failed"

    def __init__(self, detail: str, *, code: str | None = None, errors: Iterable[FieldError] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or type(self).code
        self.errors = tuple(errors)

    def headers(self) -> dict[str, str]:
        """Headers that the status demands beside the body."""
        return {}


class InputInvalid(ApiError):
    """The request breaks the documented form; `errors` names each wrong field."""

    status, code, title = 400, "input_invalid", "The request is not valid"


class Unauthenticated(ApiError):
    """No credential was sent, or one that is wrong, expired or revoked."""

    status, code, title = 401, "unauthenticated", "A valid credential is needed"

    def headers(self) -> dict[str, str]:
        """RFC 6750: the scheme, and `invalid_token` only when a token came at all."""
        if self.code == Unauthenticated.code:
            return {"www-authenticate": 'Bearer realm="analytics"'}
        return {"www-authenticate": f'Bearer realm="analytics", error="invalid_token", error_description="{self.code}"'}


class PermissionMissing(ApiError):
    """The credential is good and does not allow this."""

    status, code, title = 403, "permission_missing", "The credential does not allow this"


class NotFound(ApiError):
    """Nothing is at this address or has this name."""

    status, code, title = 404, "not_found", "Nothing is here"


class MethodNotAllowed(ApiError):
    """The address exists and takes other methods."""

    status, code, title = 405, "method_not_allowed", "The method is not allowed"

    def __init__(self, detail: str, allow: str = "POST") -> None:
        super().__init__(detail)
        self.allow = allow

    def headers(self) -> dict[str, str]:
        """`Allow`, as RFC 9110 demands."""
        return {"allow": self.allow}


class Conflict(ApiError):
    """What is stored has changed meanwhile, or stands in the way."""

    status, code, title = 409, "conflict", "What is stored does not allow this"


class BodyTooLarge(ApiError):
    """The request body is over the documented limit."""

    status, code, title = 413, "body_too_large", "The request body is too large"


class MediaTypeRefused(ApiError):
    """The body is encoded in a way that this route does not read."""

    status, code, title = 415, "media_type_unsupported", "The body's encoding is not supported"


class Unavailable(ApiError):
    """Something this request needs is away for now; the same request may be sent again."""

    status, code, title = 503, "unavailable", "Not available now"

    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        errors: Iterable[FieldError] = (),
        retry_after_seconds: int = _RETRY_AFTER_SECONDS,
    ) -> None:
        super().__init__(detail, code=code, errors=errors)
        self.retry_after_seconds = retry_after_seconds

    def headers(self) -> dict[str, str]:
        """`Retry-After` in seconds."""
        return {"retry-after": str(self.retry_after_seconds)}


class WarehouseAway(Unavailable):
    """ClickHouse does not answer; events are still accepted."""

    code, title = "warehouse_unavailable", "The warehouse does not answer"


class StreamAway(Unavailable):
    """Valkey does not take events, so none can be promised to be kept."""

    code, title = "stream_unavailable", "Events cannot be stored now"


class AccessUnverifiable(Unavailable):
    """Whether a credential was revoked cannot be checked, so it is not accepted."""

    code, title = "access_unverifiable", "Credentials cannot be checked now"


class DefinitionsAway(Unavailable):
    """Definitions cannot be changed now, or were never read; what was read once is still evaluated."""

    code, title = "definitions_unavailable", "Definitions are not available now"


class MartsNotBuilt(Unavailable):
    """The tables that this answer is computed from do not exist yet."""

    code, title = "marts_not_built", "The numbers are not built yet"


class DagsterAway(Unavailable):
    """Dagster does not start what was asked for; what is computed is still answered."""

    code, title = "dagster_unavailable", "Dagster does not start the job"


class ProblemField(CamelModel):
    """One wrong field of the request."""

    field: str = Field(description="Path of the field, for example `events[3].eventName`", examples=["startDate"])
    message: str
    code: str | None = Field(default=None, description="Stable name of what is wrong with it, where there is one")
    rejection_id: str | None = Field(
        default=None, description="Id under which an event that was not accepted is kept in the quarantine"
    )


class Problem(CamelModel):
    """RFC 9457 problem details: the body of every error answer."""

    type: str = Field(examples=["urn:analytics:problem:input_invalid"])
    title: str
    status: int
    detail: str
    code: str = Field(description="Stable name of the problem, for programs", examples=["input_invalid"])
    errors: list[ProblemField] = Field(description="The wrong fields; empty when none can be named")
    request_id: str | None = Field(default=None, description="Quote it when you report an unexpected failure (500)")


@dataclass(frozen=True, slots=True)
class ProblemAnswer:
    """An error ready to be sent."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)

    def raw_headers(self) -> list[tuple[bytes, bytes]]:
        """All headers in the form of ASGI's `http.response.start`."""
        own = {
            "content-type": PROBLEM_MEDIA_TYPE,
            "content-length": str(len(self.body)),
            "cache-control": "no-store",
        }
        return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in {**own, **self.headers}.items()]


def answer(error: ApiError, request_id: str | None = None) -> ProblemAnswer:
    """Render one domain error."""
    body: dict[str, object] = {
        "type": f"urn:analytics:problem:{error.code}",
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "code": error.code,
        "errors": [_field_error(wrong) for wrong in error.errors],
    }
    if request_id is not None:
        body["requestId"] = request_id
    return ProblemAnswer(error.status, msgspec.json.encode(body), error.headers())


def problem_from(error: Exception, scope: Scope) -> ProblemAnswer:
    """Render any exception. One that nobody foresaw is logged with its trace; its 500 carries only a request id."""
    if isinstance(error, ApiError):
        return answer(error)
    if isinstance(error, DefinitionInvalid):
        return answer(_definition_refused(error))
    if isinstance(error, WarehouseUnavailable):
        log.warning("warehouse_unavailable", path=scope.get("path"), reason=str(error))
        return answer(WarehouseAway("ClickHouse does not answer; try again in a few seconds."))
    request_id = _request_id(scope)
    log.error("request_failed", path=scope.get("path"), request_id=request_id, exc_info=error)
    return answer(ApiError("An unexpected failure; the server's log has the cause under this request id."), request_id)


async def send_problem(send: Send, error: Exception, scope: Scope) -> None:
    """Answer a raw ASGI request with any exception; nothing may have been sent before."""
    problem = problem_from(error, scope)
    await send({"type": "http.response.start", "status": problem.status, "headers": problem.raw_headers()})
    await send({"type": "http.response.body", "body": problem.body})


def _definition_refused(error: DefinitionInvalid) -> InputInvalid:
    wrong = [FieldError(one.field, one.message, one.code) for one in error.problems]
    detail = "; ".join(f"{one.field or 'definition'}: {one.message}" for one in wrong[:_MOST_IN_DETAIL])
    return InputInvalid(detail, code="definition_invalid", errors=wrong)


def _field_error(wrong: FieldError) -> dict[str, str]:
    named = {"field": wrong.field, "message": wrong.message, "code": wrong.code, "rejectionId": wrong.rejection_id}
    return {name: text for name, text in named.items() if text or name in ("field", "message")}


def _request_id(scope: Scope) -> str:
    for name, value in scope.get("headers", ()):
        if name == b"x-request-id" and _REQUEST_ID.match(value):
            return str(value, "latin-1")
    return uuid.uuid4().hex


def _response(problem: ProblemAnswer) -> Response:
    response = Response(problem.body, problem.status)
    response.raw_headers = problem.raw_headers()
    return response


def _field_path(location: tuple[int | str, ...]) -> str:
    """`("query", "startDate")` -> `startDate`, `("body", "events", 3, "name")` -> `events[3].name`."""
    path = ""
    for part in location[1:] or location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else str(part)
    return path


async def _input_refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class only
    wrong = [
        FieldError(_field_path(tuple(one["loc"])), _OWN_WORDS.get(one["type"]) or str(one["msg"]))
        for one in error.errors()
    ]
    return _response(answer(InputInvalid(f"Wrong: {', '.join(one.field for one in wrong)}.", errors=wrong)))


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class only
    asked = f"{request.method} {request.url.path}"
    if error.status_code == HTTPStatus.NOT_FOUND:
        return _response(answer(NotFound(f"{asked}: there is no such address; /docs lists all.")))
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allow = (error.headers or {}).get("Allow", "")
        return _response(answer(MethodNotAllowed(f"{asked}: send {allow or 'another method'}.", allow)))
    return _response(answer(InputInvalid(f"{asked}: {error.detail}.", code="request_refused")))


async def _foreseen(request: Request, error: Exception) -> Response:
    return _response(problem_from(error, request.scope))


class UnforeseenErrors:
    """Answers what no handler foresaw. (Starlette's handler for `Exception` would answer and then raise it again.)"""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; an exception after the answer began can only end the connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = False

        async def watched(message: Message) -> None:
            nonlocal began
            began = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as error:
            if began:
                raise
            await send_problem(send, error, scope)


def install(app: FastAPI) -> None:
    """Make each error of `app` an `application/problem+json` answer."""
    app.add_exception_handler(RequestValidationError, _input_refused)
    app.add_exception_handler(HTTPException, _http_error)
    for foreseen in (ApiError, DefinitionInvalid, WarehouseUnavailable):
        app.add_exception_handler(foreseen, _foreseen)
    app.add_middleware(UnforeseenErrors)
