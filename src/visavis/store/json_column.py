"""How JSON is written into a column."""

from __future__ import annotations

import json
from typing import Any

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))  # `json.dumps` makes one for each text


def dump_json(value: Any) -> str:
    """Write JSON without escapes for letters: SQLite does not find a key that is written with escapes."""
    return _ENCODER.encode(value)
