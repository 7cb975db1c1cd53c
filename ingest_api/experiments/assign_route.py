"""`POST /api/feature-flags/ab-tests/{id}/assign` as plain ASGI, beside the routes that evaluate flags."""

from typing import Any

import msgspec

from flags.fields import MAX_KEY_CHARACTERS
from ingest_api.errors import FieldError, InputInvalid
from ingest_api.events.payload import MAX_ID_CHARACTERS
from ingest_api.flags.hot_routes import Answer, Asked, Route
from ingest_api.services import Services

PATH = "/api/feature-flags/ab-tests/{id}/assign"
_PREFIX, _SUFFIX = PATH.split("{id}")


class ForAssign(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Body of the request."""

    user_id: str | int
    attributes: dict[str, Any] | None = None


_decoder = msgspec.json.Decoder(ForAssign)
_encoder = msgspec.json.Encoder()


async def assign(asked: Asked, services: Services) -> Answer:
    """Which variant the user gets."""
    try:
        request = _decoder.decode(asked.body or b"{}")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InputInvalid(f"The body is not as documented: {error}.") from error
    user_id = str(request.user_id)
    if not 0 < len(user_id) <= MAX_ID_CHARACTERS:
        wrong = FieldError("userId", f"has 1 to {MAX_ID_CHARACTERS} characters")
        raise InputInvalid(f"{wrong.field} {wrong.message}.", errors=[wrong])
    assigner = services.experiments.assigner
    return Answer(
        _encoder.encode(await assigner.assign(asked.argument, user_id, request.attributes, asked.source, asked.sender))
    )


_ROUTE = Route(PATH, assign)


def find_route(path: str) -> tuple[Route, str] | None:
    """The route, when this is its path (with or without a slash at its end), and the experiment that it names."""
    path = path.removesuffix("/")
    if not (path.startswith(_PREFIX) and path.endswith(_SUFFIX)):
        return None
    key = path[len(_PREFIX) : -len(_SUFFIX)]
    return (_ROUTE, key) if 0 < len(key) <= MAX_KEY_CHARACTERS and "/" not in key else None
