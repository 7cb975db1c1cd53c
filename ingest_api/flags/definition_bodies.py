"""Bodies of requests that write definitions, and of their answers."""

from collections.abc import Mapping
from typing import Any

import msgspec
from fastapi import Request, Response

from flags.codec import MAX_DEFINITION_BYTES, read_json
from flags.problems import DefinitionInvalid, Problem
from ingest_api.errors import InputInvalid
from ingest_api.events.bodies import ClientGone, read_body


async def read_document(
    request: Request, key: str | None = None, most_bytes: int = MAX_DEFINITION_BYTES
) -> dict[str, Any]:
    """The definition in the body. Where the address names a key, the body need not.

    Raises:
        DefinitionInvalid: it is no JSON object, too long, or names another key.
        InputInvalid: the request ended early.
    """
    try:
        body = await read_body(dict(request.scope["headers"]), request.receive)
    except ClientGone as error:
        raise InputInvalid("The request ended before its body did.") from error
    document = read_json(body, most_bytes)
    if not isinstance(document, dict):
        raise DefinitionInvalid([Problem("", "wrong_type", "Send one JSON object.")])
    if key is None:
        return document
    if document.setdefault("key", key) != key:
        raise DefinitionInvalid([Problem("key", "conflict", f"The address says {key}.")])
    return document


def seen_version(document: Mapping[str, Any], *, is_required: bool) -> int | None:
    """The version that the caller has read. Raises `DefinitionInvalid`."""
    version = document.get("version")
    if version is None and is_required:
        message = (
            "Name the version that you have read: another one's change made meanwhile would be lost without a word."
        )
        raise DefinitionInvalid([Problem("version", "field_missing", message)])
    if version is not None and (not isinstance(version, int) or isinstance(version, bool)):
        raise DefinitionInvalid([Problem("version", "wrong_type", "It is a whole number.")])
    return version


def json_answer(document: Any, status: int = 200) -> Response:
    """An answer whose JSON is exactly this."""
    return Response(msgspec.json.encode(document), status, media_type="application/json")
