"""Evaluation, in front of the web framework: apps put these calls on their hottest path.

Their description in the OpenAPI document is `openapi.openapi_paths`.
"""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, TypeVar

import msgspec
from starlette.types import Scope

from flags.evaluation import ErrorCode, Evaluation
from flags.ruleset import user_of
from ingest_api.auth.principals import Principal
from ingest_api.auth.roles import Permission
from ingest_api.errors import FieldError, InputInvalid, NotFound
from ingest_api.flags.recent_answers import bulk_answer
from ingest_api.raw_answers import Answer, Asked
from ingest_api.raw_routes import Route
from ingest_api.services import Services

ONE_PATH = "/api/feature-flags/flags/{key}/evaluate"
ALL_PATH = "/api/feature-flags/evaluate"
MOST_KEYS = 1000


async def caller_of(scope: Scope, _: str, services: Services) -> Principal:
    """Who asks, by a credential in the headers or in the query string; the errors of `Authenticator.authenticate`."""
    principal = await services.authenticator.authenticate(scope["headers"], scope["query_string"], math.inf)
    principal.require(Permission.FLAGS_EVALUATE)
    return principal


class ForOne(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Body of `POST /api/feature-flags/flags/{key}/evaluate`."""

    user_id: str | int | None = None
    attributes: dict[str, Any] | None = None


class ForAll(ForOne, rename="camel", forbid_unknown_fields=True):
    """Body of `POST /api/feature-flags/evaluate`."""

    keys: list[str] | None = None
    """Which flags; null are all."""


_Request = TypeVar("_Request", ForOne, ForAll)
_for_one, _for_all = msgspec.json.Decoder(ForOne), msgspec.json.Decoder(ForAll)


async def evaluate_one(asked: Asked, services: Services) -> Answer:
    """`POST /api/feature-flags/flags/{key}/evaluate`."""
    request = _read(_for_one, asked.body)
    [evaluation] = await _evaluate(request, [asked.argument], asked, services)
    if evaluation.error is ErrorCode.FLAG_NOT_FOUND:
        raise NotFound(f"There is no flag {asked.argument}.", code="flag_not_found")
    return Answer(services.flags.tally.encoded(evaluation))


async def evaluate_all(asked: Asked, services: Services) -> Answer:
    """`POST /api/feature-flags/evaluate`: with `If-None-Match`, 304 when the answers for this user are the same."""
    flags, now = services.flags, datetime.now(UTC)
    ruleset, may_keep = flags.definitions.ruleset, flags.evaluator.only_answers
    known = flags.recent.find(asked.body, ruleset, now) if may_keep else None
    if known is not None:
        return tagged(known.body(), known.tag, asked.headers)
    request = _read(_for_all, asked.body)
    if request.keys is not None and len(request.keys) > MOST_KEYS:
        wrong = FieldError("keys", f"has more than {MOST_KEYS} members")
        raise InputInvalid(f"{wrong.field} {wrong.message}.", errors=[wrong])
    evaluations = await _evaluate(request, request.keys, asked, services)
    answer = bulk_answer(flags.tally.runs(evaluations))
    if may_keep:
        flags.recent.keep(asked.body, answer, ruleset)
    return tagged(answer.body(), answer.tag, asked.headers)


def tagged(body: bytes, tag: bytes, headers: Mapping[bytes, bytes], *more: tuple[bytes, bytes]) -> Answer:
    """An answer with its `ETag` and `more` headers, or 304 when the client, who sent `headers`, has it already."""
    named = headers.get(b"if-none-match", b"")
    own = ((b"etag", tag), (b"cache-control", b"private, no-cache"), *more)
    if tag in named or named.strip() == b"*":
        return Answer(b"", HTTPStatus.NOT_MODIFIED, own)
    return Answer(body, 200, own)


async def _evaluate(request: ForOne, keys: list[str] | None, asked: Asked, services: Services) -> list[Evaluation]:
    user_id = None if request.user_id is None else str(request.user_id)
    user = user_of(user_id, request.attributes)
    return await services.flags.evaluator.evaluate(user, keys, asked.source, asked.sender)


def _read(decoder: msgspec.json.Decoder[_Request], body: bytes) -> _Request:
    try:
        return decoder.decode(body or b"{}")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InputInvalid(f"The body is not as documented: {error}.") from error


ROUTES = (Route(ONE_PATH, evaluate_one, caller_of), Route(ALL_PATH, evaluate_all, caller_of))
