"""The cursor of a page of sessions, as text: where its last session is in the list."""

from __future__ import annotations

import re

from visavis.errors import InvalidCursor
from visavis.ids import is_id
from visavis.store.sessions import Position

_CURSOR = re.compile(r"([0-9]{1,15})-(sess_\w{26})", re.ASCII)


def cursor_after(place: Position) -> str:
    return f"{place.created_at_ms}-{place.id}"


def read_cursor(text: str) -> Position:
    """Raises `InvalidCursor`."""
    found = _CURSOR.fullmatch(text)
    if found is None or not is_id("sess", found[2]):
        raise InvalidCursor("Invalid cursor", suggestion="Use the next_cursor of the page before")
    return Position(created_at_ms=int(found[1]), id=found[2])
