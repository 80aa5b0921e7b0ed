"""Errors about what is not there, not allowed, or not possible now."""

from __future__ import annotations

from visavis.errors.root import CHANNEL, COMMAND, HTTP, CloseCode, VisavisError


class Unauthorized(
    VisavisError, code="UNAUTHORIZED", status=401, close=CloseCode.UNAUTHORIZED, told_over=HTTP | CHANNEL
):
    """A token does not open this session or room."""


class ApiKeyRefused(Unauthorized, told_over=HTTP):
    """No API key, or one that is wrong, revoked or expired. Its body is a plain string, without a code."""


class SignInRefused(Unauthorized, code="SIGN_IN_REFUSED", told_over=HTTP):
    """The code of a link was used before, or has expired."""

    message = "This link has been used before, or has expired"
    suggestion = "`visavis keys sign-in` prints a new one"


class TokenExpired(Unauthorized, code="TOKEN_EXPIRED"):
    """A browser token has expired."""

    message = "This token has expired"
    suggestion = "Get a new one from the server that gave you this one"


class OriginRefused(Unauthorized, code="ORIGIN_REFUSED", status=403):
    """A browser token may not be used by pages of this origin."""

    message = "This token may not be used by pages of your origin"


class InsufficientMinutes(VisavisError, code="INSUFFICIENT_MINUTES", status=402):
    """The plan has no minutes left."""

    message = "No minutes remaining. Please purchase additional minutes or upgrade your plan."

    def __init__(self, *, total_remaining: int) -> None:
        super().__init__()
        self.details = {"minutes": {"total_remaining": total_remaining}}


class AccessDenied(VisavisError, code="ACCESS_DENIED", status=403):
    """The avatar belongs to another account, or only this machine may read the metrics."""

    message = "Access denied to this avatar"


class InsufficientScope(VisavisError, code="INSUFFICIENT_SCOPE", status=403):
    """The API key does not have the scope that this call needs."""


class SourceRefused(VisavisError, code="SOURCE_ADDRESS_REFUSED", status=403):
    """The API key may not be used from this address."""

    message = "This key may not be used from your address"


class RequestForged(VisavisError, code="REQUEST_FORGED", status=403):
    """A request with the cookie of a sign-in does not come from a page of this server."""

    message = "This request does not come from a page of this server"
    suggestion = "Programs send an API key instead"


class PictureAddressExpired(VisavisError, code="PICTURE_ADDRESS_EXPIRED", status=403):
    """The signed address of a private picture is no longer valid."""


class NotFound(VisavisError, code="NOT_FOUND", status=404):
    """Nothing is at this address."""

    message = "There is nothing at this address"


class SessionNotFound(NotFound, code="SESSION_NOT_FOUND", close=CloseCode.SESSION_NOT_FOUND, told_over=HTTP | CHANNEL):
    """No such session, or it belongs to another account."""

    message = "Session not found"


class AvatarNotFound(NotFound, code="AVATAR_NOT_FOUND"):
    """No such avatar, or it was deleted."""

    message = "Avatar not found"


class ReportNotFound(NotFound, code="REPORT_NOT_FOUND"):
    """The avatar has no report: it was made before reports were kept."""

    message = "There is no report on this avatar's photo"
    suggestion = "It was made before reports were kept: upload it again"


class RoomNotFound(NotFound, code="ROOM_NOT_FOUND"):
    """No such room."""

    message = "Room not found"


class ViewerNotFound(NotFound, code="VIEWER_NOT_FOUND"):
    """No such viewer in the room, or no longer."""

    message = "There is no such viewer"


class TokenNotFound(NotFound, code="TOKEN_NOT_FOUND"):
    """The session has no such browser token."""

    message = "There is no such token"


class WebhookNotFound(NotFound, code="WEBHOOK_NOT_FOUND"):
    """No such webhook, or it belongs to another account, or to keys of the other kind."""

    message = "Webhook not found"


class DeliveryNotFound(NotFound, code="DELIVERY_NOT_FOUND"):
    """The webhook has no such delivery, or no longer."""

    message = "Delivery not found"


class AccountNotFound(NotFound, code="ACCOUNT_NOT_FOUND", told_over=HTTP | COMMAND):
    """No such account."""


class KeyNotFound(NotFound, code="KEY_NOT_FOUND", told_over=HTTP | COMMAND):
    """No such API key."""


class PlanNotFound(NotFound, code="PLAN_NOT_FOUND", told_over=HTTP | COMMAND):
    """No such plan."""


class MethodNotAllowed(VisavisError, code="METHOD_NOT_ALLOWED", status=405):
    """The address does not take this method; `Allow` lists those that it takes."""

    message = "This address does not take that method"


class Conflict(VisavisError, status=409):
    """The request does not fit the state that its object is in."""


class SessionNotStarted(Conflict, code="SESSION_NOT_STARTED", retryable=True, told_over=HTTP | CHANNEL):
    """The session has not been started."""

    retry_after_s = 1


class SessionEnded(Conflict, code="SESSION_ENDED", close=CloseCode.SESSION_ENDED, told_over=HTTP | CHANNEL):
    """The session has ended. Its details tell the reason, if that is known; so does the close of a channel."""

    message = "Session has already ended"

    def __init__(self, message: str | None = None, *, suggestion: str | None = None, reason: str | None = None) -> None:
        super().__init__(message, suggestion=suggestion)
        if reason is not None:
            self.details = {"reason": reason}

    @property
    def close_reason(self) -> str:
        return str((self.details or {}).get("reason", self.message))


class Overtaken(Conflict, code="CHANNEL_OVERTAKEN", close=CloseCode.TAKEN_OVER, told_over=CHANNEL):
    """A channel that came later has opened the session before this one could."""

    message = "Another channel has taken over this session"


class SessionNotEnded(Conflict, code="SESSION_NOT_ENDED"):
    """The session runs; only one that does not run is deleted."""

    message = "The session is running"
    suggestion = "End the session first"


class Gone(SessionEnded, status=410, told_over=HTTP):
    """A room whose session has ended."""

    message = "The session has ended"

    def __init__(self, reason: str | None = None) -> None:
        super().__init__(reason=reason)


class IdempotencyConflict(Conflict, code="IDEMPOTENCY_KEY_REUSED"):
    """The `Idempotency-Key` came with another request before."""


class IdempotencyInProgress(Conflict, code="IDEMPOTENCY_IN_PROGRESS", retryable=True):
    """The first request with this `Idempotency-Key` is still in progress."""

    retry_after_s = 1


class WebhookExists(Conflict, code="WEBHOOK_EXISTS"):
    """The account has a webhook with this address."""


class WebhookDisabled(Conflict, code="WEBHOOK_DISABLED"):
    """The webhook is disabled: nothing is sent to it."""


class KeyNotActive(Conflict, code="KEY_NOT_ACTIVE", told_over=HTTP | COMMAND):
    """The API key was revoked, or has expired."""


class PreconditionFailed(VisavisError, code="PRECONDITION_FAILED", status=412):
    """`If-Match` names another ICE session than the one of this viewer."""


class PreconditionRequired(VisavisError, code="PRECONDITION_REQUIRED", status=428):
    """Trickled candidates came without `If-Match`."""


class UpgradeRequired(VisavisError, code="UPGRADE_REQUIRED", status=426):
    """A channel's address was asked for without a WebSocket upgrade, or a proxy has taken the upgrade away."""


class TooLarge(VisavisError, code="PAYLOAD_TOO_LARGE", status=413):
    """A body, metadata or an offer is larger than its limit."""


class UnsupportedMediaType(VisavisError, code="UNSUPPORTED_MEDIA_TYPE", status=415):
    """The body's content type is not what the address takes."""
