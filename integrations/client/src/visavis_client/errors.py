"""What the client raises. Every class is a `VisavisError`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class VisavisError(Exception):
    """Base of all errors of this client."""


def last_answer(error: BaseException) -> VisavisError | None:
    """Return why a call was being repeated when it was broken off; None if it was not. `error`: what broke it off, such
    as the TimeoutError of `asyncio.timeout`.
    """
    seen: BaseException | None = error
    while seen is not None and not isinstance(seen, VisavisError):
        seen = seen.__cause__
    return seen


class ServerUnreachable(VisavisError):
    """The server gave no answer: no connection, a time-out, or a connection that broke."""


class InvalidSound(VisavisError, ValueError):
    """Sound that cannot be sent: no WAV, an unknown sample rate, or empty."""


class SessionEnded(VisavisError):
    """The session has ended. `reason`: the end reason that the server recorded, such as `expired`."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"The session has ended: {reason}")
        self.reason = reason


class TakenOver(SessionEnded):
    """Another channel has opened the session. This one is over; the session goes on."""

    def __init__(self) -> None:
        super().__init__("taken_over")


class ChannelLost(VisavisError):
    """The connection was lost and the conversation could not go on: speech that was not confirmed may be lost."""


class ChannelRefused(VisavisError):
    """The channel refused a message. `code`: the stable code of the error."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(f"{message} [{code}]" if code else message)
        self.message = message
        self.code = code


class Refused(VisavisError):
    """The server refused a call.

    `status`: of HTTP. `code`: stable, empty where the answer has none. `details`: of some codes. `request_id`: names
    the call in the server's log. `retry_after_s`: after how many seconds the same call may succeed, where it may.
    `should_retry`: whether the server says that it can succeed later; None for the answer of a proxy.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        code: str = "",
        suggestion: str | None = None,
        details: Mapping[str, Any] | None = None,
        request_id: str | None = None,
        retry_after_s: float | None = None,
        should_retry: bool | None = None,
    ) -> None:
        parts = [message, suggestion or "", f"[{code}]" if code else f"[HTTP {status}]"]
        super().__init__(". ".join(part.rstrip(".") for part in parts[:2] if part) + " " + parts[2])
        self.message = message
        self.status = status
        self.code = code
        self.suggestion = suggestion
        self.details: Mapping[str, Any] = details or {}
        self.request_id = request_id
        self.retry_after_s = retry_after_s
        self.should_retry = should_retry


class InvalidRequest(Refused):
    """400, 405, 413, 415: the call itself is wrong."""


class Unauthorized(Refused):
    """401: no API key, or one that is unknown, revoked or expired."""


class OutOfMinutes(Refused):
    """402: the account has no minutes left."""


class Forbidden(Refused):
    """403: the key may not do this."""


class NotFound(Refused):
    """404: there is no such session, avatar or address in this account."""


class Conflict(Refused):
    """409: the session or the Idempotency-Key is in another state."""


class LimitReached(Refused):
    """429: the plan or a quota is used up; `code` names which. Waiting alone does not help."""


class RateLimited(Refused):
    """429: too many requests in this minute."""


class NoCapacity(Refused):
    """503: the machine has no free place now."""


class ServerFault(Refused):
    """5xx: the server, or a proxy before it, failed."""
