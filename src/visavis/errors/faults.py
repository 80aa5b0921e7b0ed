"""Limits and faults: the same call can succeed later."""

from __future__ import annotations

from typing import ClassVar

from visavis.errors.root import CHANNEL, COMMAND, HTTP, CloseCode, VisavisError, declared_errors


class RateLimited(VisavisError, code="RATE_LIMITED", status=429, retryable=True):
    """Too many requests in a minute. Its body is a plain string, without a code."""

    message = "Too many requests. Please retry after 1 minute."


class ConcurrencyLimitReached(VisavisError, code="CONCURRENCY_LIMIT_REACHED", status=429, retryable=True):
    """As many sessions are running as the plan allows. `holders`: what `details` says of each of these sessions, the
    oldest first. `soonest_release`: when the first of them expires, if one does.
    """

    message = "As many sessions are running as the plan allows"
    suggestion = "End a session, then start this one again"
    retry_after_s = 10

    def __init__(
        self, *, current: int, maximum: int, holders: list[dict[str, object]], soonest_release: str | None
    ) -> None:
        super().__init__()
        self.details = {
            "concurrency": {"current": current, "max": maximum, "available": max(0, maximum - current)},
            "holders": holders,
            "soonest_release": soonest_release,
        }


class QuotaReached(VisavisError, status=429):
    """The account keeps as much as it may: something must go first. `details` names what, and how much there is."""

    counted: ClassVar[str]

    def __init__(self, *, current: int, maximum: int) -> None:
        super().__init__()
        self.details = {self.counted: {"current": current, "max": maximum, "available": 0}}


class AvatarLimitReached(QuotaReached, code="AVATAR_LIMIT_REACHED"):
    """The account has as many avatars as it may have."""

    counted = "avatars"
    message = "This account has as many avatars as it may have"
    suggestion = "Delete an avatar, then send this again"


class SessionLimitReached(QuotaReached, code="SESSION_LIMIT_REACHED", retryable=True):
    """As many sessions of the account wait to be started as may wait."""

    counted = "created_sessions"
    message = "As many sessions of this account wait to be started as may wait"
    suggestion = "Start the sessions that you create; one that nobody starts ends by itself"


class BackgroundLimitReached(QuotaReached, code="BACKGROUND_LIMIT_REACHED", retryable=True):
    """As many sessions of the account wait to be started with a background image as may wait."""

    counted = "backgrounds"
    message = "As many sessions of this account wait to be started with a background image as may wait"
    suggestion = "Start the sessions that you create; one that nobody starts ends by itself"


class WebhookLimitReached(QuotaReached, code="WEBHOOK_LIMIT_REACHED"):
    """The account has as many webhooks as it may have."""

    counted = "webhooks"
    message = "This account has as many webhooks as it may have"
    suggestion = "Delete a webhook, then send this again"


class TooManyOffers(VisavisError, code="TOO_MANY_OFFERS", status=429, retryable=True):
    """Too many offers came from one address or to one room, or too many of its viewers have not connected yet."""

    retry_after_s = 1


class QueueFull(VisavisError, code="QUEUE_FULL", status=429, retryable=True, told_over=CHANNEL):
    """600 s of speech are queued; this message was not taken."""


class VoiceFailed(VisavisError, code="VOICE_FAILED", told_over=CHANNEL | COMMAND):
    """Text cannot be spoken to its end: the synthesiser refuses, fails, or answers something else than sound."""


class VoiceTimedOut(VoiceFailed, code="VOICE_TIMED_OUT", retryable=True):
    """The synthesiser does not answer, or sends no more sound."""


class VoiceBusy(VoiceFailed, code="VOICE_BUSY", retryable=True):
    """The synthesiser takes no more requests now, or as much text is being synthesised as the server does at once."""


class NoCapacity(VisavisError, code="NO_CAPACITY", status=503, retryable=True, told_over=HTTP | CHANNEL):
    """As much is in progress as the server can do at once."""

    retry_after_s = 5


class RoomUnreachable(VisavisError, code="ROOM_UNREACHABLE", status=503, retryable=True):
    """The server of a room does not answer, or no media reach it."""

    retry_after_s = 5


class RoomFull(NoCapacity, code="ROOM_FULL", told_over=HTTP):
    """The room has as many viewers as it takes."""

    retry_after_s = 10


class ServerStopping(VisavisError, code="SERVER_STOPPING", status=503, retryable=True):
    """The server is stopping: it takes no new sessions."""

    message = "The server is stopping"
    suggestion = "Try again in a moment"
    retry_after_s = 5


class HandOverBegun(
    VisavisError, code="SERVER_CHANGES", close=CloseCode.SERVER_CHANGES, retryable=True, told_over=CHANNEL
):
    """A channel is opened while the server hands its sessions over to the next one."""

    message = "The server changes; connect again"


class PerformerLost(VisavisError, code="PERFORMER_LOST", status=503, retryable=True, told_over=HTTP | CHANNEL):
    """The process that performed the session is gone or does not answer."""

    retry_after_s = 5


class InternalError(
    VisavisError, code="INTERNAL", status=500, close=CloseCode.INTERNAL_ERROR, told_over=HTTP | CHANNEL
):
    """A fault of the server; its log has the details."""


class IceRestartUnavailable(VisavisError, code="ICE_RESTART_UNAVAILABLE", status=409):
    """A viewer asks for an ICE restart, but it has not connected yet, or its connection is closing: it joins again."""

    message = "This viewer is not connected"
    suggestion = "Join again"


class PackUnreadable(VisavisError, code="PACK_UNREADABLE", status=500):
    """The avatar's pack cannot be read, and could not be made again."""


class PreparationFailed(VisavisError, code="PREPARATION_FAILED", status=500, told_over=HTTP | CHANNEL):
    """The process that reads images failed, through no fault of the image."""


class StorageUnusable(
    VisavisError, code="STORAGE_UNUSABLE", status=503, retryable=True, told_over=HTTP | CHANNEL | COMMAND
):
    """The server cannot read or write its data now: the disk is full, read-only or broken."""

    retry_after_s = 10


def error_of(code: str, message: str, *, suggestion: str | None = None) -> VisavisError:
    """Return the error of a code, as another process told it. A code that is unknown here becomes an `InternalError`
    that names it.
    """
    kind = declared_errors().get(code)
    if kind is None:
        return InternalError(f"{message} [{code}]", suggestion=suggestion)
    error = kind.__new__(kind)  # a class may take its figures where it is raised; here the message holds them
    VisavisError.__init__(error, message, suggestion=suggestion)
    return error
