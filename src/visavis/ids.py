"""Ids: a prefix for the kind of thing, and a ULID, so that ids sort by the time when they were made."""

from __future__ import annotations

import re
import secrets
import threading
import time
from typing import Literal

from ulid import ULID

Kind = Literal["sess", "avat", "key", "req", "view"]

_ULID = "[0-9A-HJKMNP-TV-Z]{26}"
_lock = threading.Lock()
_last = 0


def new_id(kind: Kind) -> str:
    """Return a new id. The ids of one process always increase, even within one millisecond.

    The id of a viewer is different: it has 80 random bits of its own, because whoever knows it can remove the viewer.
    """
    if kind == "view":  # `ULID()` counts up within a millisecond
        return f"view_{ULID.from_bytes((time.time_ns() // 1_000_000).to_bytes(6) + secrets.token_bytes(10))}"
    global _last  # noqa: PLW0603  # one counter in each process
    with _lock:
        _last = max(int(ULID()), _last + 1)
        return f"{kind}_{ULID.from_int(_last)}"


def is_id(kind: Kind, text: str) -> bool:
    """Whether the text has the form of such an id. Other texts need not be looked up in the database."""
    return re.fullmatch(f"{kind}_{_ULID}", text) is not None
