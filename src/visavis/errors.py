"""Every error that a user of Visavis can meet, in one tree. This drawing is held to the classes by a test.

    VisavisError
    ├── InvalidRequest                  400  INVALID_REQUEST
    │   ├── AvatarIdRequired            400  AVATAR_ID_REQUIRED
    │   ├── AvatarRequired              400  AVATAR_REQUIRED
    │   ├── AvatarNotALook              400  AVATAR_NOT_A_LOOK
    │   ├── InvalidMetadata             400  INVALID_METADATA
    │   ├── InvalidAspectRatio          400  INVALID_ASPECT_RATIO
    │   ├── InvalidCursor               400  INVALID_CURSOR
    │   ├── InvalidJson                 400  INVALID_JSON
    │   ├── InvalidRoomPlatform         400  INVALID_ROOM_PLATFORM
    │   ├── RoomPlatformUnavailable     400  ROOM_PLATFORM_UNAVAILABLE
    │   ├── OfferRefused                400  OFFER_REFUSED
    │   ├── CandidatesRefused           400  CANDIDATES_REFUSED
    │   ├── InvalidOutput               400  INVALID_OUTPUT
    │   ├── BackgroundRefused           400  INVALID_BACKGROUND
    │   ├── FramingRefused              400  INVALID_FRAMING
    │   ├── InvalidEmotion              400  INVALID_EMOTION
    │   ├── ImageRequired               400  IMAGE_REQUIRED
    │   ├── PortraitRefused             400  IMAGE_UNREADABLE
    │   │   ├── NoFace                  400  NO_FACE
    │   │   ├── SeveralFaces            400  SEVERAL_FACES
    │   │   ├── FaceTooSmall            400  FACE_TOO_SMALL
    │   │   ├── FaceTurnedAway          400  FACE_TURNED_AWAY
    │   │   ├── ImageUrlRefused         400  IMAGE_URL_REFUSED
    │   │   ├── InvalidPoints           400  INVALID_POINTS
    │   │   ├── ImageTooLarge           413  IMAGE_TOO_LARGE
    │   │   └── ImageTypeRefused        415  IMAGE_TYPE
    │   ├── AudioUnreadable                  AUDIO_UNREADABLE
    │   └── InvalidMessage                   INVALID_MESSAGE
    │       ├── InitRequired                 INIT_REQUIRED               close 4400
    │       ├── InitTimeout                  INIT_TIMEOUT                close 4408
    │       ├── InvalidInit                  INVALID_INIT
    │       ├── InvalidVideoDimensions       INVALID_VIDEO_DIMENSIONS
    │       ├── InvalidRoomUrl               INVALID_ROOM_URL
    │       ├── UnknownFeature               UNKNOWN_FEATURE
    │       ├── SessionMismatch              SESSION_MISMATCH            close 4404
    │       ├── AlreadyInitialized           ALREADY_INITIALIZED
    │       ├── InvalidUtf8                  INVALID_UTF8                close 1007
    │       ├── UnknownType                  UNKNOWN_TYPE
    │       ├── FeatureNotEnabled            FEATURE_NOT_ENABLED
    │       ├── InvalidAudio                 INVALID_AUDIO
    │       ├── OddAudioLength               ODD_AUDIO_LENGTH
    │       ├── InvalidSampleRate            INVALID_SAMPLE_RATE
    │       ├── MessageTooLarge              MESSAGE_TOO_LARGE           close 1009
    │       ├── InvalidPhonemes              INVALID_PHONEMES
    │       ├── InvalidState                 INVALID_STATE
    │       └── UpdatePending                UPDATE_PENDING
    ├── Unauthorized                    401  UNAUTHORIZED                close 4401
    │   └── ApiKeyRefused               401  (UNAUTHORIZED)
    ├── InsufficientMinutes             402  INSUFFICIENT_MINUTES
    ├── AccessDenied                    403  ACCESS_DENIED
    ├── InsufficientScope               403  INSUFFICIENT_SCOPE
    ├── SourceRefused                   403  SOURCE_ADDRESS_REFUSED
    ├── PictureAddressExpired           403  PICTURE_ADDRESS_EXPIRED
    ├── NotFound                        404  NOT_FOUND
    │   ├── SessionNotFound             404  SESSION_NOT_FOUND           close 4404
    │   ├── AvatarNotFound              404  AVATAR_NOT_FOUND
    │   ├── ReportNotFound              404  REPORT_NOT_FOUND
    │   ├── RoomNotFound                404  ROOM_NOT_FOUND
    │   └── ViewerNotFound              404  VIEWER_NOT_FOUND
    ├── MethodNotAllowed                405  METHOD_NOT_ALLOWED
    ├── Conflict                        409
    │   ├── SessionNotStarted           409  SESSION_NOT_STARTED
    │   ├── SessionEnded                409  SESSION_ENDED               close 4410
    │   │   └── Gone                    410  (SESSION_ENDED)
    │   ├── IdempotencyConflict         409  IDEMPOTENCY_KEY_REUSED
    │   └── IdempotencyInProgress       409  IDEMPOTENCY_IN_PROGRESS
    ├── PreconditionFailed              412  PRECONDITION_FAILED
    ├── PreconditionRequired            428  PRECONDITION_REQUIRED
    ├── UpgradeRequired                 426  UPGRADE_REQUIRED
    ├── TooLarge                        413  PAYLOAD_TOO_LARGE
    ├── UnsupportedMediaType            415  UNSUPPORTED_MEDIA_TYPE
    ├── RateLimited                     429  RATE_LIMITED
    ├── ConcurrencyLimitReached         429  CONCURRENCY_LIMIT_REACHED
    ├── QuotaReached                    429
    │   ├── AvatarLimitReached          429  AVATAR_LIMIT_REACHED
    │   ├── SessionLimitReached         429  SESSION_LIMIT_REACHED
    │   └── BackgroundLimitReached      429  BACKGROUND_LIMIT_REACHED
    ├── TooManyOffers                   429  TOO_MANY_OFFERS
    ├── QueueFull                            QUEUE_FULL
    ├── NoCapacity                      503  NO_CAPACITY
    │   └── RoomFull                    503  ROOM_FULL
    ├── ServerStopping                  503  SERVER_STOPPING
    ├── PerformerLost                   503  PERFORMER_LOST
    ├── InternalError                   500  INTERNAL                    close 1011
    ├── IceRestartUnavailable           501  ICE_RESTART_UNAVAILABLE
    ├── PackUnreadable                  500  PACK_UNREADABLE
    ├── PreparationFailed               500  PREPARATION_FAILED
    ├── StorageUnusable                 503  STORAGE_UNUSABLE
    ├── LinkFailed
    │   ├── StageUnreachable                 STAGE_UNREACHABLE
    │   ├── StageRejected                    STAGE_REJECTED
    │   ├── NotAHello                        NOT_A_HELLO
    │   ├── WrongStageToken                  WRONG_STAGE_TOKEN
    │   ├── PortVersionUnknown               PORT_VERSION_UNKNOWN
    │   ├── ServerReplaced                   SERVER_REPLACED
    │   ├── SourceUnusable                   SOURCE_UNUSABLE
    │   ├── LinkBroken                       LINK_BROKEN
    │   └── StaleOwner                       STALE_OWNER
    └── CommandFailed
        ├── SettingInvalid                   SETTING_INVALID
        ├── DataFolderUnusable               DATA_FOLDER_UNUSABLE
        ├── DataFolderInUse                  DATA_FOLDER_IN_USE
        ├── HandoverImpossible               HANDOVER_IMPOSSIBLE
        ├── DatabaseUnusable                 DATABASE_UNUSABLE
        ├── FileUnusable                     FILE_UNUSABLE
        ├── AddressUnavailable               ADDRESS_UNAVAILABLE
        ├── ServerNotStarted                 SERVER_NOT_STARTED
        ├── AccountNotFound                  ACCOUNT_NOT_FOUND
        ├── KeyNotFound                      KEY_NOT_FOUND
        ├── KeyNotActive                     KEY_NOT_ACTIVE
        ├── PlanNotFound                     PLAN_NOT_FOUND
        ├── DemoFailed                       DEMO_FAILED
        ├── ContractBroken                   CONTRACT_BROKEN
        ├── ServerBroken                     SERVER_BROKEN
        └── ServerFailed                     SERVER_FAILED

A class that names a `code` declares it: its HTTP status, the close code of the channel (without one the channel stays
open), whether the same call can succeed later, and where it is told. A subclass without a code is a variant of its
parent. docs/reference/errors.md describes every code for clients.
"""

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


def declared_errors() -> dict[str, type[VisavisError]]:
    """Return every code with the class that declares it, in the order of the tree."""
    return dict(_BY_CODE)


def error_of(code: str, message: str, *, suggestion: str | None = None) -> VisavisError:
    """Return the error of a code, as another process told it. A code that is unknown here becomes an `InternalError`
    that names it.
    """
    kind = _BY_CODE.get(code)
    if kind is None:
        return InternalError(f"{message} [{code}]", suggestion=suggestion)
    error = kind.__new__(kind)  # a class may take its figures where it is raised; here the message holds them
    VisavisError.__init__(error, message, suggestion=suggestion)
    return error


# A request or a message that must be changed before it is sent again


class InvalidRequest(VisavisError, code="INVALID_REQUEST", status=400):
    """A parameter or member is wrong, and no other code says so more closely."""


class AvatarIdRequired(InvalidRequest, code="AVATAR_ID_REQUIRED"):
    """A session is to be created without `avatar_id`."""

    message = "Avatar ID is required"
    suggestion = "Include avatar_id in the request body"


class AvatarRequired(InvalidRequest, code="AVATAR_REQUIRED"):
    """An own-room session is to be created without `avatar`."""


class AvatarNotALook(InvalidRequest, code="AVATAR_NOT_A_LOOK"):
    """The avatar is a character; only a look performs."""


class InvalidMetadata(InvalidRequest, code="INVALID_METADATA"):
    """`metadata` is not a JSON object."""


class InvalidAspectRatio(InvalidRequest, code="INVALID_ASPECT_RATIO"):
    """`aspect_ratio` is none of those that the service draws."""


class InvalidCursor(InvalidRequest, code="INVALID_CURSOR"):
    """`cursor` is not the `next_cursor` of a page."""


class InvalidJson(InvalidRequest, code="INVALID_JSON", told_over=HTTP | CHANNEL):
    """A body or a text frame is not JSON; a text frame must also be an object."""


class InvalidRoomPlatform(InvalidRequest, code="INVALID_ROOM_PLATFORM", told_over=HTTP | CHANNEL):
    """`room.platform` is unknown; in `session.init` it must be `daily`."""

    message = "Invalid room platform"


class RoomPlatformUnavailable(InvalidRequest, code="ROOM_PLATFORM_UNAVAILABLE"):
    """`room.platform` is known, but this server has no such rooms."""


class OfferRefused(InvalidRequest, code="OFFER_REFUSED"):
    """A viewer's SDP offer cannot be answered."""


class CandidatesRefused(InvalidRequest, code="CANDIDATES_REFUSED"):
    """A viewer's trickled candidates are no fragment of SDP (RFC 8840)."""


class InvalidOutput(InvalidRequest, code="INVALID_OUTPUT", told_over=HTTP | CHANNEL):
    """`output` is not an object, or has an unknown member."""


class BackgroundRefused(InvalidRequest, code="INVALID_BACKGROUND", told_over=HTTP | CHANNEL):
    """An invalid background: unknown type, missing colour or unreadable image."""


class FramingRefused(InvalidRequest, code="INVALID_FRAMING", told_over=HTTP | CHANNEL):
    """An invalid framing: unknown member, or a zoom out of its range."""


class InvalidEmotion(InvalidRequest, code="INVALID_EMOTION", told_over=HTTP | CHANNEL):
    """An unknown emotion, or a weight out of its range."""


# Photos


class ImageRequired(InvalidRequest, code="IMAGE_REQUIRED"):
    """A face is uploaded with no image, or with several."""


class PortraitRefused(InvalidRequest, code="IMAGE_UNREADABLE"):
    """A photo that cannot become an avatar. The class itself: its image cannot be read."""


class NoFace(PortraitRefused, code="NO_FACE"):
    """No clear face was found in the photo."""


class SeveralFaces(PortraitRefused, code="SEVERAL_FACES"):
    """More than one face was found in the photo."""


class FaceTooSmall(PortraitRefused, code="FACE_TOO_SMALL"):
    """The face has too few pixels."""


class FaceTurnedAway(PortraitRefused, code="FACE_TURNED_AWAY"):
    """The face does not look into the camera."""


class ImageUrlRefused(PortraitRefused, code="IMAGE_URL_REFUSED"):
    """An image's address is private, not http(s), too slow, or holds no image."""


class InvalidPoints(PortraitRefused, code="INVALID_POINTS"):
    """The seven points are incomplete, out of the picture, or form no face."""


class ImageTooLarge(PortraitRefused, code="IMAGE_TOO_LARGE", status=413, told_over=HTTP | CHANNEL):
    """An image has too many bytes or pixels."""


class ImageTypeRefused(PortraitRefused, code="IMAGE_TYPE", status=415):
    """An image is not JPEG, PNG, WebP or GIF."""


class AudioUnreadable(InvalidRequest, code="AUDIO_UNREADABLE", told_over=COMMAND):
    """A sound file cannot be read."""


# Messages of the channel


class InvalidMessage(InvalidRequest, code="INVALID_MESSAGE", told_over=CHANNEL):
    """A member of a known message has the wrong type."""


class InitRequired(InvalidMessage, code="INIT_REQUIRED", close=CloseCode.INIT_REQUIRED):
    """The first message is not `session.init`."""

    message = "First message must be session.init"


class InitTimeout(InvalidMessage, code="INIT_TIMEOUT", close=CloseCode.INIT_TIMEOUT):
    """No session was opened within 10 s."""


class InvalidInit(InvalidMessage, code="INVALID_INIT"):
    """A member of `session.init` is missing, or has the wrong type."""


class InvalidVideoDimensions(InvalidMessage, code="INVALID_VIDEO_DIMENSIONS"):
    """`video_width` and `video_height` are no size that the service draws."""

    message = "Invalid video dimensions"


class InvalidRoomUrl(InvalidMessage, code="INVALID_ROOM_URL"):
    """`config.room.url` is not the session's own."""


class UnknownFeature(InvalidMessage, code="UNKNOWN_FEATURE"):
    """`features` names something that this server does not have."""


class SessionMismatch(InvalidMessage, code="SESSION_MISMATCH", close=CloseCode.SESSION_NOT_FOUND):
    """`session.init` names another session than the channel's address."""


class AlreadyInitialized(InvalidMessage, code="ALREADY_INITIALIZED"):
    """A second `session.init` on an open channel."""


class InvalidUtf8(InvalidMessage, code="INVALID_UTF8", close=CloseCode.INVALID_UTF8):
    """A text frame is not UTF-8."""


class UnknownType(InvalidMessage, code="UNKNOWN_TYPE"):
    """`type` is missing or unknown."""


class FeatureNotEnabled(InvalidMessage, code="FEATURE_NOT_ENABLED"):
    """A message needs a feature that `session.init` did not ask for."""


class InvalidAudio(InvalidMessage, code="INVALID_AUDIO"):
    """`audio` is missing, not base64, or a sound file instead of raw samples."""


class OddAudioLength(InvalidMessage, code="ODD_AUDIO_LENGTH"):
    """The audio of an utterance ended within a sample: PCM16 has two bytes a sample."""


class InvalidSampleRate(InvalidMessage, code="INVALID_SAMPLE_RATE"):
    """`sample_rate` is not an integer from 8000 to 48000."""


class MessageTooLarge(InvalidMessage, code="MESSAGE_TOO_LARGE", close=CloseCode.MESSAGE_TOO_LARGE):
    """A message holds more than 10 MiB of audio."""


class InvalidPhonemes(InvalidMessage, code="INVALID_PHONEMES"):
    """`phonemes` cannot be followed; the audio is spoken without them."""


class InvalidState(InvalidMessage, code="INVALID_STATE"):
    """`agent.state` of a client is neither listening nor thinking."""


class UpdatePending(InvalidMessage, code="UPDATE_PENDING", retryable=True):
    """Four updates of the session are in progress; this one was not taken."""


# What is not there, not allowed, or not possible now


class Unauthorized(
    VisavisError, code="UNAUTHORIZED", status=401, close=CloseCode.UNAUTHORIZED, told_over=HTTP | CHANNEL
):
    """A token does not open this session or room."""


class ApiKeyRefused(Unauthorized, told_over=HTTP):
    """No API key, or one that is wrong, revoked or expired. Its body is a plain string, without a code."""


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


class MethodNotAllowed(VisavisError, code="METHOD_NOT_ALLOWED", status=405):
    """The address does not take this method; `Allow` lists those that it takes."""

    message = "This address does not take that method"


class Conflict(VisavisError, status=409):
    """The request does not fit the state that its object is in."""


class SessionNotStarted(Conflict, code="SESSION_NOT_STARTED", retryable=True, told_over=HTTP | CHANNEL):
    """The session has not been started."""

    retry_after_s = 1


class SessionEnded(Conflict, code="SESSION_ENDED", close=CloseCode.SESSION_ENDED, told_over=HTTP | CHANNEL):
    """The session has ended."""

    message = "Session has already ended"


class Gone(SessionEnded, status=410, told_over=HTTP):
    """A room whose session has ended."""

    message = "The session has ended"


class IdempotencyConflict(Conflict, code="IDEMPOTENCY_KEY_REUSED"):
    """The `Idempotency-Key` came with another request before."""


class IdempotencyInProgress(Conflict, code="IDEMPOTENCY_IN_PROGRESS", retryable=True):
    """The first request with this `Idempotency-Key` is still in progress."""

    retry_after_s = 1


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


# Limits and faults: the same call can succeed later


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


class TooManyOffers(VisavisError, code="TOO_MANY_OFFERS", status=429, retryable=True):
    """Too many offers came from one address or to one room, or too many of its viewers have not connected yet."""

    retry_after_s = 1


class QueueFull(VisavisError, code="QUEUE_FULL", status=429, retryable=True, told_over=CHANNEL):
    """600 s of speech are queued; this message was not taken."""


class NoCapacity(VisavisError, code="NO_CAPACITY", status=503, retryable=True, told_over=HTTP | CHANNEL):
    """As much is in progress as the server can do at once."""

    retry_after_s = 5


class RoomFull(NoCapacity, code="ROOM_FULL", told_over=HTTP):
    """The room has as many viewers as it takes."""

    retry_after_s = 10


class ServerStopping(VisavisError, code="SERVER_STOPPING", status=503, retryable=True):
    """The server is stopping: it takes no new sessions."""

    message = "The server is stopping"
    suggestion = "Try again in a moment"
    retry_after_s = 5


class PerformerLost(VisavisError, code="PERFORMER_LOST", status=503, retryable=True, told_over=HTTP | CHANNEL):
    """The process that performed the session is gone or does not answer."""

    retry_after_s = 5


class InternalError(
    VisavisError, code="INTERNAL", status=500, close=CloseCode.INTERNAL_ERROR, told_over=HTTP | CHANNEL
):
    """A fault of the server; its log has the details."""


class IceRestartUnavailable(VisavisError, code="ICE_RESTART_UNAVAILABLE", status=501):
    """A viewer asks for an ICE restart. There is none: it joins again."""

    message = "There is no ICE restart"
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


# Between a server and a stage


class LinkFailed(VisavisError, told_over=LOG):
    """A server and a stage cannot work together, or no longer."""


class StageUnreachable(LinkFailed, code="STAGE_UNREACHABLE"):
    """No connection to the stage can be made."""


class StageRejected(LinkFailed, code="STAGE_REJECTED"):
    """The stage does not admit this server, or does not answer as a stage does."""


class NotAHello(LinkFailed, code="NOT_A_HELLO"):
    """The first message of a server is missing or is something else."""


class WrongStageToken(LinkFailed, code="WRONG_STAGE_TOKEN"):
    """The server does not have the stage's token."""


class PortVersionUnknown(LinkFailed, code="PORT_VERSION_UNKNOWN"):
    """The server speaks a version of the port that the stage does not know."""


class ServerReplaced(LinkFailed, code="SERVER_REPLACED"):
    """The server has connected a second time: its first connection is dropped."""


class SourceUnusable(LinkFailed, code="SOURCE_UNUSABLE"):
    """The stage cannot get packs from where the server says."""


class LinkBroken(LinkFailed, code="LINK_BROKEN"):
    """The connection is over, or the other end does not keep to the protocol."""


class StaleOwner(LinkFailed, code="STALE_OWNER"):
    """Another server owns the session by now."""


# What only a command prints


class CommandFailed(VisavisError, told_over=COMMAND):
    """A command cannot do what it was asked to do."""


class SettingInvalid(CommandFailed, code="SETTING_INVALID"):
    """A setting (`VISAVIS_…`) has an invalid value."""


class DataFolderUnusable(CommandFailed, code="DATA_FOLDER_UNUSABLE"):
    """The data folder cannot be made, read or written."""


class DataFolderInUse(CommandFailed, code="DATA_FOLDER_IN_USE"):
    """Another server uses the data folder or the database."""


class HandoverImpossible(CommandFailed, code="HANDOVER_IMPOSSIBLE"):
    """A server cannot take over the sessions of the one that runs."""


class DatabaseUnusable(CommandFailed, code="DATABASE_UNUSABLE"):
    """There is no database, it cannot be opened, or it is none of this version of Visavis."""


class FileUnusable(CommandFailed, code="FILE_UNUSABLE"):
    """A command cannot read or write a file; the message names the file and the reason."""


class AddressUnavailable(CommandFailed, code="ADDRESS_UNAVAILABLE"):
    """The server cannot listen on its address."""


class ServerNotStarted(CommandFailed, code="SERVER_NOT_STARTED"):
    """The server stopped before it was up."""


class AccountNotFound(CommandFailed, code="ACCOUNT_NOT_FOUND"):
    """No such account."""


class KeyNotFound(CommandFailed, code="KEY_NOT_FOUND"):
    """No such API key."""


class KeyNotActive(CommandFailed, code="KEY_NOT_ACTIVE"):
    """The API key was revoked, or has expired."""


class PlanNotFound(CommandFailed, code="PLAN_NOT_FOUND"):
    """No such plan."""


class DemoFailed(CommandFailed, code="DEMO_FAILED"):
    """The demo's performance was not what it must be; the message says what was missing."""


class ContractBroken(CommandFailed, code="CONTRACT_BROKEN"):
    """An answer is not what the reference says; the message names the place."""


class ServerBroken(CommandFailed, code="SERVER_BROKEN"):
    """A part of the server failed that all sessions depend on; it has ended them and stopped."""


class ServerFailed(CommandFailed, code="SERVER_FAILED"):
    """The demo's server did not start, or stopped by itself; the message ends with what it last said."""
