"""What goes away, and when: calls, and members of requests. docs/reference/README.md, "Rules that hold everywhere".

Whoever still uses it is told in each answer, by the headers `Deprecation` (RFC 9745) and `Sunset` (RFC 8594), and the
OpenAPI description marks it as deprecated. Both follow from the two tables below.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qsl

from starlette.types import Scope

LEAST_NOTICE_DAYS = 183
MAX_PARAMETERS = 100  # of an address that are looked at


@dataclass(frozen=True, slots=True, kw_only=True)
class GoingAway:
    """`since`: when that was told first. `until`: the day from which on it is not there any more."""

    since: date
    until: date

    def __post_init__(self) -> None:
        assert (self.until - self.since).days >= LEAST_NOTICE_DAYS, "clients get half a year to change"

    def raw_headers(self) -> list[tuple[bytes, bytes]]:
        since_s = int(_midnight(self.since).timestamp())
        until = format_datetime(_midnight(self.until), usegmt=True)
        return [(b"deprecation", f"@{since_s}".encode()), (b"sunset", until.encode())]


# By method and path, as the route has it: ("GET", "/v1/sessions/{session_id}").
CALLS: dict[tuple[str, str], GoingAway] = {}
# By method, path and name: of a member of the JSON body, a field of the form, or a parameter of the address.
MEMBERS: dict[tuple[str, str, str], GoingAway] = {}


def note_members(scope: Scope, names: Iterable[str]) -> None:
    """Note what a request's body has. Called by what reads bodies."""
    if MEMBERS:
        scope["visavis.members"] = frozenset(names)


def headers_for(scope: Scope) -> list[tuple[bytes, bytes]]:
    """Return the headers for an answer: of what its request has used, that which is gone first."""
    if not CALLS and not MEMBERS:
        return []
    path = getattr(scope.get("route"), "path", None)
    if path is None:  # refused before a route was found
        return []
    call = (scope["method"], path)
    found = [CALLS[call]] if call in CALLS else []
    if MEMBERS:
        query = scope.get("query_string", b"").decode("latin-1")
        parameters = (name for name, _ in parse_qsl(query, keep_blank_values=True)[:MAX_PARAMETERS])
        used = {*scope.get("visavis.members", ()), *parameters}
        found += [MEMBERS[*call, name] for name in used if (*call, name) in MEMBERS]
    return min(found, key=lambda one: one.until).raw_headers() if found else []


def mark(path: str, method: str, operation: dict[str, Any], components: dict[str, Any]) -> None:
    """Mark an operation of the OpenAPI description, and the members of its request, and name the headers."""
    call = (method.upper(), path)
    names = {name for *of, name in MEMBERS if tuple(of) == call}
    if call in CALLS:
        operation["deprecated"] = True
    if call not in CALLS and not names:
        return
    for response in operation["responses"].values():
        response.setdefault("headers", {}).update(_HEADERS)
    for part in {"parameters", "requestBody"} & set(operation):
        operation[part] = deepcopy(operation[part])  # the routes of every application have the same
    for parameter in operation.get("parameters", []):
        if parameter["name"] in names:
            parameter["deprecated"] = True
    for content in operation.get("requestBody", {}).get("content", {}).values():
        for schema in _alternatives(content["schema"], components["schemas"]):
            for name in names & set(schema.get("properties", {})):
                schema["properties"][name] = {**schema["properties"][name], "deprecated": True}


def _alternatives(schema: dict[str, Any], known: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the objects that a schema stands for."""
    if "$ref" in schema:
        return _alternatives(known[schema["$ref"].rpartition("/")[2]], known)
    among = [one for kind in ("anyOf", "oneOf", "allOf") for one in schema.get(kind, [])]
    return [schema, *(found for one in among for found in _alternatives(one, known))]


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


_HEADERS = {
    "Deprecation": {
        "description": "What the request uses goes away: since when that is told, as `@` and unix seconds (RFC 9745)",
        "schema": {"type": "string", "pattern": "^@[0-9]+$"},
    },
    "Sunset": {
        "description": "When it will not be there any more (RFC 8594)",
        "schema": {"type": "string"},
    },
}
