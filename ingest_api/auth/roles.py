"""Roles and the permissions they carry. To change what a role may do, edit this table."""

from enum import StrEnum


class Permission(StrEnum):
    """One thing a caller may be allowed to do; handlers ask for one of these, never for a role."""

    EVENTS_WRITE = "events:write"
    FLAGS_EVALUATE = "flags:evaluate"
    FLAGS_READ = "flags:read"
    FLAGS_WRITE = "flags:write"
    ANALYTICS_READ = "analytics:read"
    METRICS_READ = "metrics:read"
    QUARANTINE_READ = "quarantine:read"
    QUARANTINE_REPLAY = "quarantine:replay"
    EXPERIMENTS_WRITE = "experiments:write"
    ACCESS_MANAGE = "access:manage"


class Role(StrEnum):
    """What a token is issued for."""

    ADMIN = "admin"
    EDITOR = "editor"
    ANALYST = "analyst"
    VIEWER = "viewer"


_VIEWER = frozenset(
    {Permission.ANALYTICS_READ, Permission.METRICS_READ, Permission.FLAGS_EVALUATE, Permission.FLAGS_READ}
)
_ANALYST = _VIEWER | {Permission.EXPERIMENTS_WRITE, Permission.QUARANTINE_READ}
_EDITOR = _ANALYST | {Permission.FLAGS_WRITE, Permission.EVENTS_WRITE, Permission.QUARANTINE_REPLAY}

PERMISSIONS_OF: dict[Role, frozenset[Permission]] = {
    Role.VIEWER: _VIEWER,
    Role.ANALYST: _ANALYST,
    Role.EDITOR: _EDITOR,
    Role.ADMIN: frozenset(Permission),
}

WRITE_KEY_PERMISSIONS = frozenset({Permission.EVENTS_WRITE, Permission.FLAGS_EVALUATE})
"""A write key is public (it sits in web pages and apps), so it can never read."""
