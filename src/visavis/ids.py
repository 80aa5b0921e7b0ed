"""Ids: a prefix for the kind of thing, and a ULID.

Each ULID has 80 fresh random bits, so that an id does not tell another one. Its time is in milliseconds; ids of one
millisecond have no order.
"""

from __future__ import annotations

import re
import secrets
import time
from typing import Literal

from ulid import ULID

Kind = Literal[
    "acct", "audt", "avat", "dlvr", "evnt", "hook", "key", "purc", "req", "sess", "sign", "stok", "tok", "view"
]  # fmt: skip

_ULID = "[0-9A-HJKMNP-TV-Z]{26}"


def new_id(kind: Kind) -> str:
    # `ULID()` counts up within a millisecond: its neighbours can be guessed.
    return id_at(kind, time.time_ns() // 1_000_000, secrets.token_bytes(10))


def id_at(kind: Kind, at_ms: int, random: bytes) -> str:
    """Return the id with this time and these 10 bytes."""
    return f"{kind}_{ULID.from_bytes(at_ms.to_bytes(6) + random)}"


def is_id(kind: Kind, text: str) -> bool:
    """Whether the text has the form of such an id. Other texts need not be looked up in the database."""
    return re.fullmatch(f"{kind}_{_ULID}", text) is not None
