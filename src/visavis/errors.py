"""Every error that a user of Visavis can meet, in one tree.

    VisavisError
    ├── InvalidRequest                 400
    │   ├── AvatarIdRequired               AVATAR_ID_REQUIRED
    │   ├── AvatarNotALook                 AVATAR_NOT_A_LOOK
    │   ├── InvalidMetadata                INVALID_METADATA
    │   ├── BackgroundRefused              INVALID_BACKGROUND
    │   ├── FramingRefused                 INVALID_FRAMING
    │   └── PortraitRefused                NO_FACE, SEVERAL_FACES, FACE_TOO_SMALL, FACE_TURNED_AWAY,
    │   │                                  IMAGE_UNREADABLE, IMAGE_URL_REFUSED, INVALID_POINTS
    │       ├── ImageTooLarge          413 IMAGE_TOO_LARGE
    │       └── ImageTypeRefused       415 IMAGE_TYPE
    ├── TooLarge                       413 PAYLOAD_TOO_LARGE
    ├── AccessDenied                   403 ACCESS_DENIED
    ├── NotFound                       404 NOT_FOUND, SESSION_NOT_FOUND, AVATAR_NOT_FOUND, ROOM_NOT_FOUND,
    │                                      REPORT_NOT_FOUND
    ├── Conflict                       409
    │   ├── SessionNotStarted              SESSION_NOT_STARTED
    │   ├── SessionEnded                   SESSION_ENDED                 channel close 4410
    │   └── IdempotencyConflict            IDEMPOTENCY_KEY_REUSED
    ├── Gone                           410 SESSION_ENDED                 a room after its session
    ├── UnsupportedMediaType           415 UNSUPPORTED_MEDIA_TYPE
    ├── Unauthorized                   401 UNAUTHORIZED                  channel close 4401
    │   └── ApiKeyRefused                  UNAUTHORIZED                  its body is a plain string
    ├── InsufficientMinutes            402 INSUFFICIENT_MINUTES
    ├── RateLimited                    429 RATE_LIMITED                  its body is a plain string
    ├── ConcurrencyLimitReached        429 CONCURRENCY_LIMIT_REACHED     retryable
    ├── QueueFull                      429 QUEUE_FULL                    the channel stays open
    ├── OfferRefused                   400 OFFER_REFUSED
    ├── NoCapacity                     503 NO_CAPACITY                   retryable
    │   └── RoomFull                       ROOM_FULL                     of viewers
    ├── PerformerLost                  503 PERFORMER_LOST                retryable
    └── PackUnreadable                 500 PACK_UNREADABLE

Each class carries its stable `code`, its HTTP `status`, the channel's `close_code` (None: the channel stays open) and
whether the same call may be `retryable`. `message` is for a person; `suggestion` says what to do next, where there is
something to do.
"""

from __future__ import annotations

from typing import ClassVar


class VisavisError(Exception):
    """The root. `message` and `suggestion` are shown to users as they are."""

    code: str = "INTERNAL"
    status: ClassVar[int] = 500
    close_code: ClassVar[int | None] = None
    retryable: ClassVar[bool] = False
    retry_after_s: int | None = None  # sent as Retry-After where the same call can succeed later
    details: dict[str, object] | None = None

    def __init__(self, message: str, *, code: str | None = None, suggestion: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.suggestion = suggestion
        if code is not None:
            self.code = code


class InvalidRequest(VisavisError):
    code = "INVALID_REQUEST"
    status = 400


class AvatarIdRequired(InvalidRequest):
    code = "AVATAR_ID_REQUIRED"

    def __init__(self) -> None:
        super().__init__("Avatar ID is required", suggestion="Include avatar_id in the request body")


class AvatarNotALook(InvalidRequest):
    code = "AVATAR_NOT_A_LOOK"


class InvalidMetadata(InvalidRequest):
    code = "INVALID_METADATA"


class BackgroundRefused(InvalidRequest):
    """A background that is none: an unknown type, no colour, no image."""

    code = "INVALID_BACKGROUND"


class FramingRefused(InvalidRequest):
    code = "INVALID_FRAMING"


class PortraitRefused(InvalidRequest):
    """A photo that cannot become an avatar; `code` says why."""

    code = "IMAGE_UNREADABLE"


class ImageTooLarge(PortraitRefused):
    code = "IMAGE_TOO_LARGE"
    status = 413


class ImageTypeRefused(PortraitRefused):
    code = "IMAGE_TYPE"
    status = 415


class TooLarge(VisavisError):
    code = "PAYLOAD_TOO_LARGE"
    status = 413


class AccessDenied(VisavisError):
    code = "ACCESS_DENIED"
    status = 403


class NotFound(VisavisError):
    code = "NOT_FOUND"
    status = 404
    close_code = 4404


class Conflict(VisavisError):
    code = "CONFLICT"
    status = 409


class SessionNotStarted(Conflict):
    code = "SESSION_NOT_STARTED"
    retryable = True
    retry_after_s = 1


class SessionEnded(Conflict):
    code = "SESSION_ENDED"
    close_code = 4410


class IdempotencyConflict(Conflict):
    code = "IDEMPOTENCY_KEY_REUSED"


class Gone(VisavisError):
    code = "SESSION_ENDED"
    status = 410


class UnsupportedMediaType(VisavisError):
    code = "UNSUPPORTED_MEDIA_TYPE"
    status = 415


class Unauthorized(VisavisError):
    code = "UNAUTHORIZED"
    status = 401
    close_code = 4401


class ApiKeyRefused(Unauthorized):
    """No key, a wrong one or a revoked one."""


class InsufficientMinutes(VisavisError):
    code = "INSUFFICIENT_MINUTES"
    status = 402

    def __init__(self, *, total_remaining: int) -> None:
        super().__init__("No minutes remaining. Please purchase additional minutes or upgrade your plan.")
        self.details = {"minutes": {"total_remaining": total_remaining}}


class RateLimited(VisavisError):
    code = "RATE_LIMITED"
    status = 429
    retryable = True


class ConcurrencyLimitReached(VisavisError):
    code = "CONCURRENCY_LIMIT_REACHED"
    status = 429
    retryable = True
    retry_after_s = 10

    def __init__(self, *, current: int, maximum: int) -> None:
        super().__init__(
            "As many sessions are running as the plan allows", suggestion="End a session, then start this one again"
        )
        self.details = {"concurrency": {"current": current, "max": maximum, "available": max(0, maximum - current)}}


class QueueFull(VisavisError):
    code = "QUEUE_FULL"
    status = 429
    retryable = True


class OfferRefused(VisavisError):
    code = "OFFER_REFUSED"
    status = 400


class NoCapacity(VisavisError):
    code = "NO_CAPACITY"
    status = 503
    retryable = True
    retry_after_s = 5


class RoomFull(NoCapacity):
    """As many viewers watch the room as it takes."""

    code = "ROOM_FULL"
    retry_after_s = 10


class PerformerLost(VisavisError):
    code = "PERFORMER_LOST"
    status = 503
    retryable = True
    retry_after_s = 5


class PackUnreadable(VisavisError):
    code = "PACK_UNREADABLE"
