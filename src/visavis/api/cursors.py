"""Cursors of pages, as text: where the last thing of a page is in its list."""

from __future__ import annotations

import re

from visavis.errors import InvalidCursor
from visavis.ids import Kind, is_id
from visavis.store.session_lists import Position

_CURSOR = re.compile(r"([0-9]{1,15})-(sess_\w{26})", re.ASCII)


def cursor_after(place: Position) -> str:
    return f"{place.created_at_ms}-{place.id}"


def read_cursor(text: str) -> Position:
    """Raises `InvalidCursor`."""
    found = _CURSOR.fullmatch(text)
    if found is None or not is_id("sess", found[2]):
        raise InvalidCursor("Invalid cursor", suggestion="Use the next_cursor of the page before")
    return Position(created_at_ms=int(found[1]), id=found[2])


def read_id_cursor(kind: Kind, text: str | None) -> str | None:
    """Return the cursor of a list that is sorted by id. Raises `InvalidCursor`."""
    if text is not None and not is_id(kind, text):
        raise InvalidCursor("Invalid cursor", suggestion="Use the next_cursor of the page before")
    return text
