"""The server that serves the API."""

import socket

import uvicorn

from ingest_api.services import Services


class ApiServer(uvicorn.Server):
    """uvicorn. When it stops it waits for open answers, so those that never end are ended first."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop, orderly."""
        services = self.lifespan.state.get("services")
        if isinstance(services, Services):
            services.flags.listeners.end()
        await super().shutdown(sockets)
