"""Parameters and refusals that operations of /v1/admin share."""

from __future__ import annotations

from typing import Any

from visavis.api.admin.schemas import ACCOUNT_ID
from visavis.api.described.admin.examples import ACCOUNT
from visavis.errors import InvalidJson, UnsupportedMediaType

BODY = (InvalidJson, UnsupportedMediaType)
OF_ACCOUNT: dict[str, Any] = {
    "name": "account_id",
    "description": "Only those of this account",
    "type": "string",
    "pattern": ACCOUNT_ID,
    "example": ACCOUNT,
}
LIMIT: dict[str, Any] = {
    "name": "limit",
    "description": "How many at most",
    "type": "integer",
    "minimum": 1,
    "maximum": 100,
    "default": 100,
}


def cursor(pattern: str, example: str) -> dict[str, Any]:
    return {
        "name": "cursor",
        "description": "The `next_cursor` of the page before",
        "type": "string",
        "pattern": pattern,
        "example": example,
    }
