"""`POST /api/feature-flags/ab-tests/{id}/assign` , in front of the web framework."""

from typing import Any

import msgspec

from ingest_api.errors import FieldError, InputInvalid
from ingest_api.events.payload import MAX_ID_CHARACTERS
from ingest_api.flags.hot_routes import caller_of
from ingest_api.raw_answers import Answer, Asked
from ingest_api.raw_routes import Route
from ingest_api.services import Services

PATH = "/api/feature-flags/ab-tests/{id}/assign"


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


ROUTES = (Route(PATH, assign, caller_of),)
