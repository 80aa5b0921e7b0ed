"""Answers of the servers of others, as far as they are told."""

from __future__ import annotations

import re
from typing import Any

import httpx

MOST_SAID_CHARS = 200
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]+")


def json_object(answer: httpx.Response) -> dict[str, Any] | None:
    """Return the JSON object of an answer, None if it is none."""
    try:
        document = answer.json()
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def said(answer: httpx.Response) -> str:
    """Return the beginning of an answer, to be told in an error."""
    return _UNPRINTABLE.sub(" ", answer.text[:MOST_SAID_CHARS]).strip()
