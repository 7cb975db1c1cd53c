"""OpenFeature's remote evaluation protocol (OFREP): flags for every language that has a provider of it.

https://github.com/open-feature/protocol. Providers are strict: `reason` and `variant` must both be there, numbers stand
as the flag has them (2.0 is no 2), and errors have a form of their own, without a body where the credential is refused.
"""

from typing import Any

import msgspec
from starlette.types import Scope

from flags.evaluation import ErrorCode, Evaluation
from flags.experiments import User
from flags.ruleset import user_of
from ingest_api.errors import ApiError, InputInvalid, NotFound, PermissionMissing, Unauthenticated, problem_from
from ingest_api.flags.hot_routes import caller_of, tagged
from ingest_api.raw_answers import Answer, Asked, tag_of
from ingest_api.raw_routes import Route
from ingest_api.services import Services

BULK_PATH = "/ofrep/v1/evaluate/flags"
FLAG_PATH = f"{BULK_PATH}/{{key}}"
CODES = ("PARSE_ERROR", "TARGETING_KEY_MISSING", "INVALID_CONTEXT", "FLAG_NOT_FOUND", "GENERAL")
"""What `errorCode` can be."""

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder()


async def evaluate_flag(asked: Asked, services: Services) -> Answer:
    """`POST /ofrep/v1/evaluate/flags/{key}`."""
    user = context_of(asked.body)
    [evaluation] = await services.flags.evaluator.evaluate(user, [asked.argument], asked.source, asked.sender)
    if evaluation.error is ErrorCode.FLAG_NOT_FOUND:
        raise NotFound(evaluation.details, code=evaluation.error.value)
    if evaluation.error is not None:
        raise InputInvalid(evaluation.details, code=evaluation.error.value)
    services.flags.tally.count([evaluation])
    return Answer(_encoder.encode(document(evaluation)))


async def evaluate_flags(asked: Asked, services: Services) -> Answer:
    """`POST /ofrep/v1/evaluate/flags`: all flags; 304 when this context gets what `If-None-Match` names."""
    user = context_of(asked.body)
    evaluations = await services.flags.evaluator.evaluate(user, None, asked.source, asked.sender)
    services.flags.tally.count(evaluations)
    body = _encoder.encode({"flags": [document(one) for one in evaluations], "metadata": {}})
    return tagged(body, tag_of(body), asked.headers)


def context_of(body: bytes) -> User:
    """The user of `{"context": {"targetingKey": ..., ...}}`.

    Raises:
        InputInvalid: it is something else; its code is OFREP's.
    """
    try:
        asked = _decoder.decode(body or b"{}")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InputInvalid(f"Send JSON in UTF-8: {error}.", code="PARSE_ERROR") from error
    if not isinstance(asked, dict):
        raise InputInvalid('Send an object: {"context": {"targetingKey": "user123"}}.', code="PARSE_ERROR")
    context = asked.get("context")
    if context is None:
        context = {}
    if not isinstance(context, dict):
        raise InputInvalid("`context` must be an object.", code="INVALID_CONTEXT")
    key = context.get("targetingKey")
    if isinstance(key, bool) or not isinstance(key, str | int | None):
        raise InputInvalid("`targetingKey` must be text.", code="INVALID_CONTEXT")
    return user_of(None if key is None else str(key), context)


def document(evaluation: Evaluation) -> dict[str, Any]:
    """An answer in OFREP's form. Without `value` the app takes the default in its code."""
    if evaluation.error is not None:
        code = evaluation.error.value if evaluation.error.value in CODES else ErrorCode.GENERAL.value
        return {"key": evaluation.key, "errorCode": code, "errorDetails": evaluation.details}
    metadata: dict[str, Any] = {"version": evaluation.version}
    if evaluation.rule_id is not None:
        metadata["ruleId"] = evaluation.rule_id
    answer = {"key": evaluation.key, "reason": evaluation.reason.value, "variant": evaluation.variant}
    if evaluation.value is not None:
        answer["value"] = evaluation.value
    return answer | {"metadata": metadata}


def refused(error: Exception, scope: Scope, key: str) -> Answer:
    """An error in OFREP's form; `key` is empty for all flags."""
    problem = problem_from(error, scope)
    headers = tuple((name.encode(), value.encode("latin-1")) for name, value in problem.headers.items())
    if isinstance(error, Unauthenticated | PermissionMissing):
        return Answer(b"", problem.status, headers)
    code, details = ErrorCode.GENERAL.value, "An unexpected failure; the server's log has the cause."
    if isinstance(error, ApiError):
        code, details = error.code if error.code in CODES else code, error.detail
    named = {"key": key} if key else {}
    return Answer(_encoder.encode({**named, "errorCode": code, "errorDetails": details}), problem.status, headers)


ROUTES = (
    Route(FLAG_PATH, evaluate_flag, caller_of, refused=refused, names_rest=True),
    Route(BULK_PATH, evaluate_flags, caller_of, refused=refused),
)
