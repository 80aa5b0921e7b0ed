"""The root of all errors, and what a class of an error declares."""

from __future__ import annotations

import errno
from enum import Flag, IntEnum, auto
from typing import ClassVar

# An OSError with one of these tells of a disk that is full, read-only or broken, not of a fault of ours.
DISK_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO})


class CloseCode(IntEnum):
    """Why the server closes a channel: RFC 6455's codes below 4000, ours above."""

    NORMAL = 1000  # the session has ended; the close carries the reason
    INVALID_UTF8 = 1007
    MESSAGE_TOO_LARGE = 1009
    INTERNAL_ERROR = 1011
    SERVER_CHANGES = 1012  # the session goes on with the next server: the client connects again
    INIT_REQUIRED = 4400
    UNAUTHORIZED = 4401
    SESSION_NOT_FOUND = 4404
    INIT_TIMEOUT = 4408
    TAKEN_OVER = 4409
    SESSION_ENDED = 4410


class ToldOver(Flag):
    """Where a client meets an error."""

    HTTP = auto()
    CHANNEL = auto()
    COMMAND = auto()  # printed by a command, and told nowhere else
    LOG = auto()  # between a server and a stage: logged, and told to no client


HTTP, CHANNEL, COMMAND, LOG = ToldOver.HTTP, ToldOver.CHANNEL, ToldOver.COMMAND, ToldOver.LOG

_BY_CODE: dict[str, type[VisavisError]] = {}


class VisavisError(Exception):
    """The root. `message` and `suggestion` are shown to users as they are; a class may bring its own.

    `retry_after_s` is sent as Retry-After: the same call can succeed after that time. `details`: more members of the
    error's JSON.
    """

    code: ClassVar[str]
    status: ClassVar[int] = 500
    close_code: ClassVar[CloseCode | None] = None
    retryable: ClassVar[bool] = False
    told_over: ClassVar[ToldOver] = HTTP
    message: str = ""
    suggestion: str | None = None
    retry_after_s: int | None = None
    details: dict[str, object] | None = None

    def __init_subclass__(
        cls,
        *,
        code: str | None = None,
        status: int | None = None,
        close: CloseCode | None = None,
        retryable: bool | None = None,
        told_over: ToldOver | None = None,
    ) -> None:
        """Take what the class declares; what it leaves out is its parent's."""
        if code is not None:
            assert code not in _BY_CODE, f"{code} is declared by {_BY_CODE[code].__name__} already"
            cls.code = code
            _BY_CODE[code] = cls
        if status is not None:
            cls.status = status
        if close is not None:
            cls.close_code = close
        if retryable is not None:
            cls.retryable = retryable
        if told_over is not None:
            cls.told_over = told_over

    def __init__(self, message: str | None = None, *, suggestion: str | None = None) -> None:
        if message is not None:
            self.message = message
        if suggestion is not None:
            self.suggestion = suggestion
        super().__init__(self.message)

    @property
    def close_reason(self) -> str:
        """The text of the close, where this error closes a channel."""
        return self.message


def declared_errors() -> dict[str, type[VisavisError]]:
    """Return every code with the class that declares it, in the order of the tree."""
    return dict(_BY_CODE)
