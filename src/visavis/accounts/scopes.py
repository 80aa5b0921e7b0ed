"""Scopes: what an API key may do. docs/reference/rest.md, "Scopes". Pure."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum

from visavis.errors import InsufficientScope


class Scope(StrEnum):
    SESSIONS_WRITE = "sessions:write"
    SESSIONS_READ = "sessions:read"
    AVATARS_WRITE = "avatars:write"
    AVATARS_READ = "avatars:read"
    USAGE_READ = "usage:read"
    WEBHOOKS_WRITE = "webhooks:write"
    WEBHOOKS_READ = "webhooks:read"
    ADMIN = "admin"  # the operator's own: the calls below /v1/admin


DEFAULT_SCOPES = tuple(scope for scope in Scope if scope is not Scope.ADMIN)

# By the part of the address after /v1/: the scope that reads, and the one that any other method needs.
_OF_RESOURCE = {
    "sessions": (Scope.SESSIONS_READ, Scope.SESSIONS_WRITE),
    "avatars": (Scope.AVATARS_READ, Scope.AVATARS_WRITE),
    "usage": (Scope.USAGE_READ, Scope.USAGE_READ),
    "webhooks": (Scope.WEBHOOKS_READ, Scope.WEBHOOKS_WRITE),
    "capacity": (Scope.SESSIONS_READ, Scope.SESSIONS_READ),
    "admin": (Scope.ADMIN, Scope.ADMIN),
}


def scope_for(method: str, path: str) -> Scope | None:
    """Return the scope that a call under /v1 needs; None for an address at which nothing is."""
    resource = path.removeprefix("/v1/").partition("/")[0]
    found = _OF_RESOURCE.get(resource)
    if found is None:
        return None
    reads, writes = found
    return reads if method in ("GET", "HEAD") else writes


def check_scope(held: Collection[str], needed: Scope) -> None:
    """Raises `InsufficientScope`."""
    if needed not in held:
        raise InsufficientScope(f"This key does not have the scope {needed}", suggestion="Use a key that has it")
