"""What the model of session_states.py keeps, and the refusals that it expects."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import httpx

SIGNED = re.compile(rb"[?]e=[0-9]+&s=[A-Za-z0-9_-]+")  # of the address of a picture: it is new every hour
STATUSES = ("created", "started", "ended")


@dataclass(slots=True)
class Modelled:
    session_id: str
    account: str
    dialect: str
    status: str  # one of STATUSES, or deleted
    metadata: dict[str, str]
    ws_uri: str | None = None
    end: bytes | None = None  # the answer to the first end, without signatures
    reason: str | None = None


@dataclass(slots=True)
class Kept:
    """The first answer to a request with an Idempotency-Key."""

    name: str
    maker: str
    body: dict[str, Any]
    answer: bytes
    session_id: str


def unsigned(answer: httpx.Response) -> bytes:
    return SIGNED.sub(b"", answer.content)


def refusal(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


NOT_FOUND = (404, "SESSION_NOT_FOUND")
NO_PLACE = (429, "CONCURRENCY_LIMIT_REACHED")
NOT_STARTED = (409, "SESSION_NOT_STARTED")
NOT_ENDED = (409, "SESSION_NOT_ENDED")
ENDED = (409, "SESSION_ENDED")
