"""What an operation's description says about its refusals: by status, every code with an example of its body.

The examples are bodies that the golden transcripts (tests/contract/rest) show; a test compares them.
"""

from __future__ import annotations

from typing import Any

from visavis.api.described.examples import CREATED, SESSION_ID
from visavis.api.errors import error_body
from visavis.api.schemas import error_schemas
from visavis.errors import (
    AccessDenied,
    AccountNotFound,
    ApiKeyRefused,
    AvatarLimitReached,
    AvatarNotALook,
    AvatarRequired,
    BackgroundRefused,
    CandidatesRefused,
    ConcurrencyLimitReached,
    FaceTooSmall,
    FaceTurnedAway,
    FramingRefused,
    Gone,
    IdempotencyConflict,
    IdempotencyInProgress,
    ImageRequired,
    ImageTooLarge,
    ImageTypeRefused,
    ImageUrlRefused,
    InsufficientMinutes,
    InsufficientScope,
    InternalError,
    InvalidAspectRatio,
    InvalidCursor,
    InvalidEmotion,
    InvalidJson,
    InvalidMetadata,
    InvalidOutput,
    InvalidPoints,
    InvalidRequest,
    KeyNotActive,
    KeyNotFound,
    NoCapacity,
    NoFace,
    OfferRefused,
    PackUnreadable,
    PerformerLost,
    PictureAddressExpired,
    PlanNotFound,
    PortraitRefused,
    PreconditionFailed,
    PreconditionRequired,
    PreparationFailed,
    QuotaReached,
    RateLimited,
    RequestForged,
    RoomEncrypted,
    RoomFull,
    RoomPlatformUnavailable,
    RoomRefused,
    RoomUnreachable,
    RoomUrlRefused,
    ServerStopping,
    SessionEnded,
    SessionNotStarted,
    SeveralFaces,
    SourceRefused,
    StorageUnusable,
    TooLarge,
    TooManyOffers,
    Unauthorized,
    UnsupportedMediaType,
    VisavisError,
    WebhookDisabled,
    WebhookExists,
    WebhookUrlRefused,
)

Responses = dict[int | str, dict[str, Any]]
Kind = type[VisavisError]

EVERY_CALL: tuple[Kind, ...] = (
    ApiKeyRefused, RequestForged, InsufficientScope, SourceRefused, RateLimited, StorageUnusable, InternalError,
)  # under /v1  # fmt: skip
EVERY_POST: tuple[Kind, ...] = (InvalidRequest, IdempotencyConflict, IdempotencyInProgress, TooLarge)
PHOTO: tuple[Kind, ...] = (
    PortraitRefused, NoFace, SeveralFaces, FaceTooSmall, FaceTurnedAway, ImageUrlRefused, ImageTooLarge,
    ImageTypeRefused, AvatarLimitReached, NoCapacity, PreparationFailed,
)  # fmt: skip
OUTPUT: tuple[Kind, ...] = (InvalidOutput, BackgroundRefused, FramingRefused, InvalidEmotion, ImageTooLarge)
PERFORMANCE: tuple[Kind, ...] = (
    InsufficientMinutes, ConcurrencyLimitReached, NoCapacity, ServerStopping, PerformerLost, PackUnreadable,
    PreparationFailed,
)  # fmt: skip

_TEXTS: dict[Kind, tuple[str, str | None]] = {  # of the classes that bring no message of their own
    InvalidRequest: ("avatar_id must be a string", None),
    AvatarRequired: ("avatar must be an avatar id, an image address or a base64 image", None),
    AvatarNotALook: (
        "This avatar is a character; only a look can perform",
        "Use one of its looks: avat_01J8Z3N5K7Q9R2T4V6X8Y0A1B4",
    ),
    InvalidMetadata: ("metadata must be a JSON object", 'For example {"user_name": "John Doe"}'),
    InvalidAspectRatio: ("Invalid aspect_ratio", "Use 4:3, 3:4 or 1:1"),
    InvalidCursor: ("Invalid cursor", "Use the next_cursor of the page before"),
    InvalidJson: ("The body is not valid JSON", None),
    RoomPlatformUnavailable: ("This server has no daily rooms", "Leave room out"),
    RoomEncrypted: (
        "The room is end-to-end encrypted",
        "The avatar has no key for it: use a room without encryption",
    ),
    RoomUrlRefused: (
        "room.url is not on the public internet",
        "Have the operator allow its network in VISAVIS_LIVEKIT_NETWORKS",
    ),
    RoomRefused: ("The LiveKit server does not admit the token: invalid token", None),
    OfferRefused: ("The body is not an SDP offer", None),
    CandidatesRefused: ("The body is empty", "Send a=candidate lines"),
    PreconditionFailed: ("If-Match is not this viewer's ETag", "Join again"),
    PreconditionRequired: ("Candidates belong to an ICE session", "Send If-Match with the ETag of the answer"),
    InvalidOutput: ("output has no member 'backgroud'", "It takes background, framing, emotion"),
    BackgroundRefused: ("Invalid colour", 'Write a colour like "#1a2b3c"'),
    FramingRefused: ("zoom must be a number from 0.5 to 2", None),
    InvalidEmotion: ("emotion must be one of neutral, happy, sad, surprised, serious", None),
    ImageRequired: ("Give exactly one of file, image_url and image_base64", None),
    PortraitRefused: ("The image is damaged or incomplete", "Save the photo again and send the new file"),
    NoFace: ("No face can be seen in the photo", "Send a photo of one person who faces the camera"),
    SeveralFaces: ("More than one face can be seen in the photo", "Crop the photo to one person and send it again"),
    FaceTooSmall: (
        "The face is too small: 10 px between the eyes, at least 11 are needed",
        "Send the photo at least 1.2 times as large, or one taken from nearer",
    ),
    FaceTurnedAway: (
        "The face is turned away (about 55 degrees sideways, 15 up or down)",
        "Send a photo in which the person faces the camera",
    ),
    ImageUrlRefused: (
        "The image's address is not on the public internet",
        "Use a public http(s) address of an image",
    ),
    InvalidPoints: (
        "points must have exactly seven members",
        "Give each of left_eye, right_eye, mouth_left, mouth_right, upper_lip, lower_lip, chin as [x, y] between 0 "
        "and 1; left is the left side of the picture",
    ),
    ImageTooLarge: ("The image has too many pixels; at most 80 million are taken", "Send a smaller photo"),
    ImageTypeRefused: ("The file is not a JPEG, PNG, WebP or GIF image", "Send a JPEG, PNG, WebP or GIF"),
    Unauthorized: ("The room's token is required", "Send Authorization: Bearer <daily_room.token>"),
    ApiKeyRefused: ("API key required", None),
    InsufficientScope: ("This key does not have the scope sessions:write", "Use a key that has it"),
    AccessDenied: (AccessDenied.message, "You do not have permission to create sessions with this avatar"),
    PictureAddressExpired: ("This address of a picture has expired", "Ask for the avatar or the session again"),
    SessionNotStarted: ("Session has not been started", "Start the session first"),
    SessionEnded: (SessionEnded.message, "Create a new session"),
    IdempotencyConflict: (
        "This Idempotency-Key was used for another request",
        "Use a fresh key for each new request",
    ),
    IdempotencyInProgress: ("The first request with this Idempotency-Key is still in progress", None),
    TooLarge: ("The body is larger than 16384 KiB", None),
    UnsupportedMediaType: ("The body must be JSON", "Send Content-Type: application/json"),
    NoCapacity: ("Too many photos are being prepared", "Try again in a few seconds"),
    TooManyOffers: ("This room gets too many offers", "Try again later"),
    RoomUnreachable: ("The LiveKit server cannot be reached: it does not answer", None),
    RoomFull: ("The room is full; it takes 50 viewers", "Try again when one has left"),
    PerformerLost: ("The stage that performed this session is gone", None),
    InternalError: (
        "Something went wrong on our side",
        "Try again; the Request-Id finds it in the server's log",
    ),
    PackUnreadable: (
        "The avatar's files are damaged, and its photo cannot be used any more: No clear face can be seen in the photo",
        "Upload another photo",
    ),
    StorageUnusable: ("The database cannot be used now: attempt to write a readonly database", None),
    WebhookUrlRefused: ("The address is not on the public internet", "Use a public http(s) address of yours"),
    WebhookExists: ("There is a webhook with this address", "Change that one, or delete it"),
    WebhookDisabled: ("This webhook is disabled: it was disabled", "Enable it"),
    AccountNotFound: ("There is no account 'acct_0'", "`visavis accounts list` prints the ids"),
    KeyNotFound: ("There is no key 'key_0'", "`visavis keys list` prints the ids"),
    PlanNotFound: ("There is no plan 'small'", "`visavis plans list` prints the plans"),
    KeyNotActive: ("This key was revoked or has expired", "Create a new key"),
    PreparationFailed: ("The portrait worker failed with status 1: no space left on device", None),
}


def example_of(kind: Kind) -> VisavisError:
    """Return an error as it is met."""
    if kind is ConcurrencyLimitReached:
        holder: dict[str, object] = {"session_id": SESSION_ID, "started_at": CREATED, "viewers": 0, "channel": False}
        return ConcurrencyLimitReached(current=1, maximum=1, holders=[holder], soonest_release=CREATED)
    if issubclass(kind, QuotaReached):
        return kind(current=1, maximum=1)
    if kind is Gone:
        return Gone("ended_by_client")
    if kind is InsufficientMinutes:
        return InsufficientMinutes(total_remaining=0)
    if kind not in _TEXTS:
        return kind()
    message, suggestion = _TEXTS[kind]
    return kind(message, suggestion=suggestion)


def refusals(*kinds: Kind) -> Responses:
    """Describe the answers of an operation that raises these errors."""
    responses: Responses = {}
    for kind in dict.fromkeys(kinds):
        response = responses.setdefault(kind.status, {"model": _model(kind.status, kinds), "description": ""})
        response["description"] += ("" if not response["description"] else ". ") + _meaning(kind)
        content = response.setdefault("content", {"application/json": {"examples": {}}})
        content["application/json"]["examples"][_name(kind)] = {
            "summary": _meaning(kind),
            "value": error_body(example_of(kind)),
        }
        if example_of(kind).retry_after_s is not None or kind is RateLimited:
            response["headers"] = {
                "Retry-After": {
                    "description": "Seconds until the same call can succeed; not with every code",
                    "schema": {"type": "integer", "minimum": 1},
                }
            }
    return responses


def v1(*kinds: Kind) -> Responses:
    """Describe the refusals of an operation under /v1."""
    return refusals(*kinds, *EVERY_CALL)


def v1_post(*kinds: Kind) -> Responses:
    """Describe the refusals of a POST under /v1, which takes an Idempotency-Key."""
    return refusals(*kinds, *EVERY_POST, *EVERY_CALL)


def _name(kind: Kind) -> str:
    return "no_or_wrong_API_key" if kind is ApiKeyRefused else kind.code


def _meaning(kind: Kind) -> str:
    return (kind.__doc__ or "").split(". ")[0].replace("\n    ", " ").rstrip(".")


def _model(status: int, kinds: tuple[Kind, ...]) -> Any:
    """Return the shape of a status' bodies: two of them have a published one of their own."""
    if status == 401:
        return error_schemas.KeyRefused if ApiKeyRefused in kinds else error_schemas.Error
    if status == 429 and RateLimited in kinds:
        others = [kind for kind in kinds if kind.status == status and kind is not RateLimited]
        return error_schemas.RateLimitedBody | error_schemas.Error if others else error_schemas.RateLimitedBody
    return error_schemas.Error
