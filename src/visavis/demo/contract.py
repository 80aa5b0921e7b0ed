"""The contract (docs/reference/rest.md) for a strict client: every key of the answers, in order, with the type of its
value.

A pattern is one of these: a value that must be equal; a type; a compiled regular expression; a tuple of patterns, where
one must match; a dict of patterns, whose keys must be exactly those of the answer, in this order.
"""

from __future__ import annotations

import re
from typing import Any

import httpx

from visavis.errors import ContractBroken

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
URL = re.compile(r"https?://\S+")
JWT = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+")
SESSION_ID = re.compile(r"sess_[0-9A-HJKMNP-TV-Z]{26}")
AVATAR_ID = re.compile(r"avat_[0-9A-HJKMNP-TV-Z]{26}")
TOKEN = re.compile(r"\S{16,}")
FLAG = (0, 1)

AVATAR = {"avatar_id": AVATAR_ID, "name": str, "url": URL}
ROOM = {"url": URL, "name": str, "token": JWT}
USAGE = {
    "concurrency": {"current": int, "max": (int, None), "available": (int, None)},
    "minutes": {"total_remaining": (int, None)},
}
CREATED = {
    "success": True,
    "session": {
        "session_id": SESSION_ID,
        "avatar": AVATAR,
        "session_type": "webrtc_video",
        "status": "created",
        "access_token": TOKEN,
        "started_at": None,
        "ended_at": None,
        "expiration": None,
        "daily_room": ROOM,
        "created_at": TIME,
        "metadata": dict,
    },
    "usage": USAGE,
    "message": "Session created successfully",
}
STARTED = {
    "success": True,
    "ws_uri": re.compile(r"wss?://\S+|try_again"),
    "expiration": (TIME, None),
    "message": "Session started successfully",
}
ENDED = {
    "success": True,
    "session": {
        "session_id": SESSION_ID,
        "avatar": AVATAR,
        "session_type": "webrtc_video",
        "status": "ended",
        "started_at": TIME,
        "ended_at": TIME,
        "created_at": TIME,
    },
    "message": "Session ended successfully",
}
AVATARS = {
    "avatar_id": AVATAR_ID,
    "name": str,
    "preview_img_url": URL,
    "parent_id": (AVATAR_ID, None),
    "looks_count": int,
    "video_url": (URL, None),
    "is_favorite": FLAG,
    "is_public": FLAG,
    "active": FLAG,
    "created_at": TIME,
    "updated_at": TIME,
}


def session_document(status: str) -> dict[str, Any]:
    """Return the pattern of a session in `status` (created | started | ended)."""
    return {
        "session_id": SESSION_ID,
        "avatar": AVATAR,
        "session_type": "webrtc_video",
        "status": status,
        "started_at": None if status == "created" else TIME,
        "ended_at": TIME if status == "ended" else None,
        "expiration": None if status == "created" else (TIME, None),
        "duration": int if status == "ended" else None,
        "daily_room": ROOM,
        "created_at": TIME,
        "metadata": dict,
    }


def check(place: str, value: Any, pattern: Any) -> None:
    """Raise `ContractBroken` if `value` does not match `pattern`. `place` names the value in the message."""
    if isinstance(pattern, dict):
        if not isinstance(value, dict):
            raise ContractBroken(f"{place} is not an object but {value!r:.80}")
        if list(value) != list(pattern):
            raise ContractBroken(f"{place} has the keys {', '.join(value)} instead of {', '.join(pattern)}")
        for key, part in pattern.items():
            check(f"{place}.{key}", value[key], part)
    elif not _fits(value, pattern):
        wanted = pattern.pattern if isinstance(pattern, re.Pattern) else pattern
        raise ContractBroken(f"{place} is {value!r:.80} instead of {wanted!r}")


def _fits(value: Any, pattern: Any) -> bool:
    if isinstance(pattern, tuple):
        return any(_fits(value, one) for one in pattern)
    if isinstance(pattern, re.Pattern):
        return isinstance(value, str) and pattern.fullmatch(value) is not None
    if isinstance(pattern, type):
        return type(value) is pattern
    return type(value) is type(pattern) and bool(value == pattern)


def check_answer(place: str, answer: httpx.Response, *, status: int, pattern: dict[str, Any]) -> dict[str, Any]:
    """Check the status of an HTTP answer, the headers that every answer must have, and its body. Return the body.

    Raises `ContractBroken`.
    """
    if answer.status_code != status:
        raise ContractBroken(f"{place} answered {answer.status_code} instead of {status}: {answer.text:.200}")
    for header in ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", "Request-Id"):
        if header not in answer.headers:
            raise ContractBroken(f"{place} has no header {header}")
    if answer.headers.get("content-type", "").partition(";")[0] != "application/json":
        raise ContractBroken(f"{place} is {answer.headers.get('content-type')} instead of application/json")
    body: dict[str, Any] = answer.json()
    check(place, body, pattern)
    return body
