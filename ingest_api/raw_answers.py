"""Answering a request as plain ASGI, without the web framework."""

from starlette.types import Send

from ingest_api.events.cross_origin import Headers


async def send_answer(send: Send, status: int, body: bytes, headers: Headers) -> None:
    """Send a whole answer; nothing may have been sent before."""
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
