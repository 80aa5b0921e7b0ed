"""Refusals as they come over HTTP, made into errors. Pure: no network and no clock."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from visavis_client.errors import (
    Conflict,
    Forbidden,
    InvalidRequest,
    LimitReached,
    NoCapacity,
    NotFound,
    OutOfMinutes,
    RateLimited,
    Refused,
    ServerFault,
    Unauthorized,
)

OF_STATUS: dict[int, type[Refused]] = {
    400: InvalidRequest,
    401: Unauthorized,
    402: OutOfMinutes,
    403: Forbidden,
    404: NotFound,
    405: InvalidRequest,
    409: Conflict,
    413: InvalidRequest,
    415: InvalidRequest,
    429: LimitReached,
}
# What a proxy says in HTML, in words for whoever calls.
OF_A_PROXY = {
    413: "The request is larger than a proxy before the server takes",
    502: "A proxy answers, but the server behind it does not",
    503: "A proxy answers, but the server behind it is not ready",
    504: "A proxy answers, but the server behind it took too long",
}


def refusal(status: int, headers: Mapping[str, str], body: bytes) -> Refused:
    """Return the error of an answer whose status is not 2xx. Header names are lower case."""
    error = _error(body)
    if error is None:
        message = OF_A_PROXY.get(status, f"The answer is not one of a Visavis server (HTTP {status})")
        error = {"message": message}
    code = str(error.get("code") or "")
    again = headers.get("visavis-should-retry")
    details, suggestion = error.get("details"), error.get("suggestion")
    return _kind(status, code)(
        str(error.get("message") or f"HTTP {status}"),
        status=status,
        code=code or headers.get("visavis-error-code", ""),
        suggestion=str(suggestion) if suggestion else None,
        details=details if isinstance(details, dict) else None,
        request_id=headers.get("request-id"),
        retry_after_s=_seconds(headers.get("retry-after")),
        should_retry=None if again is None else again == "true",
    )


def _kind(status: int, code: str) -> type[Refused]:
    if status == 429 and not code:
        return RateLimited  # the one refusal of the service whose error is a text
    if code == "NO_CAPACITY":
        return NoCapacity
    return OF_STATUS.get(status, ServerFault if status >= 500 else Refused)


def _error(body: bytes) -> dict[str, Any] | None:
    """Return the error of a body, or None where it has no error of this service."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return None
    error = answer.get("error") if isinstance(answer, dict) else None
    if isinstance(error, str):
        return {"message": error}
    return error if isinstance(error, dict) else None


def _seconds(text: str | None) -> float | None:
    """Return the seconds of a Retry-After; None for none and for a date, which this service never sends."""
    try:
        return max(float(text), 0.0) if text else None
    except ValueError:
        return None
