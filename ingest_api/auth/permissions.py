"""Permissions as types: a handler that takes `caller: CanReadAnalytics` cannot be reached without the permission."""

from typing import Annotated

from fastapi import Depends, Request
from fastapi.openapi.models import HTTPBearer
from fastapi.security.base import SecurityBase

from ingest_api.auth.principals import Principal
from ingest_api.auth.roles import Permission
from ingest_api.services import services_of


class Requires(SecurityBase):
    """A dependency that authenticates the caller and demands one permission, or none: any valid credential will do."""

    scheme_name = "token"
    model = HTTPBearer(bearerFormat="JWT", description="A token from `analytics token issue --role ... --subject ...`")

    def __init__(self, permission: Permission | None = None) -> None:
        self.permission = permission

    async def __call__(self, request: Request) -> Principal:
        """The caller. Raises `Unauthenticated`, `AccessUnverifiable` or `PermissionMissing`."""
        authenticator = services_of(request.scope).authenticator
        principal = await authenticator.authenticate(request.scope["headers"], request.scope["query_string"])
        if self.permission is not None:
            principal.require(self.permission)
        return principal


AnyCaller = Annotated[Principal, Depends(Requires())]
CanReadAnalytics = Annotated[Principal, Depends(Requires(Permission.ANALYTICS_READ))]
CanReadMetrics = Annotated[Principal, Depends(Requires(Permission.METRICS_READ))]
CanReadQuarantine = Annotated[Principal, Depends(Requires(Permission.QUARANTINE_READ))]
CanReplayQuarantine = Annotated[Principal, Depends(Requires(Permission.QUARANTINE_REPLAY))]
CanReadFlags = Annotated[Principal, Depends(Requires(Permission.FLAGS_READ))]
CanWriteExperiments = Annotated[Principal, Depends(Requires(Permission.EXPERIMENTS_WRITE))]
CanWriteFlags = Annotated[Principal, Depends(Requires(Permission.FLAGS_WRITE))]
