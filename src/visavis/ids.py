"""Identifiers: a prefix that says what it names, and a ULID, so that ids sort by the time they were made."""

from __future__ import annotations

import re
import threading
from typing import Literal

from ulid import ULID

Kind = Literal["sess", "avat", "key", "req", "view"]

_ULID = "[0-9A-HJKMNP-TV-Z]{26}"
_lock = threading.Lock()
_last = 0


def new_id(kind: Kind) -> str:
    """Return a fresh id. Ids made by one process always increase, also within one millisecond."""
    global _last  # noqa: PLW0603  # one counter in each process
    with _lock:
        _last = max(int(ULID()), _last + 1)
        return f"{kind}_{ULID.from_int(_last)}"


def is_id(kind: Kind, text: str) -> bool:
    """Whether the text could be such an id at all; anything else names nothing, and is not worth asking the
    database.
    """
    return re.fullmatch(f"{kind}_{_ULID}", text) is not None
