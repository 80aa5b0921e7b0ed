"""The description of /v1/sessions."""

from __future__ import annotations

from visavis.api.described import examples, refusals
from visavis.api.described.parts import Described, answer, json_body, parameters
from visavis.api.described.requests import CreateHostedSession, CreateOwnSession
from visavis.api.schemas import metrics_schemas, session_schemas
from visavis.api.schemas.parts import SESSION_ID, Done
from visavis.errors import (
    AccessDenied,
    AvatarIdRequired,
    AvatarNotALook,
    AvatarNotFound,
    AvatarRequired,
    BackgroundLimitReached,
    BackgroundRefused,
    InvalidAspectRatio,
    InvalidCursor,
    InvalidJson,
    InvalidMetadata,
    InvalidRequest,
    InvalidRoomPlatform,
    PerformerLost,
    RoomEncrypted,
    RoomPlatformUnavailable,
    RoomRefused,
    RoomUnreachable,
    RoomUrlRefused,
    SessionEnded,
    SessionLimitReached,
    SessionNotEnded,
    SessionNotFound,
    SessionNotStarted,
    UnsupportedMediaType,
)

_STARTING: tuple[refusals.Kind, ...] = (
    SessionNotFound,
    AvatarNotFound,
    SessionEnded,
    BackgroundRefused,
    RoomPlatformUnavailable,
    RoomRefused,
    RoomUnreachable,
    *refusals.PERFORMANCE,
)
_ENDING: tuple[refusals.Kind, ...] = (SessionNotFound, SessionNotStarted, PerformerLost)

CREATE: Described = {
    "summary": "Create a session",
    "description": "With `avatar_id` alone the session is created in the hosted-room dialect. With `avatar` or `room` "
    "it is created in the own-room dialect and starts at once.",
    "openapi_extra": json_body(
        CreateHostedSession | CreateOwnSession,
        {
            "Hosted room": {"avatar_id": examples.LOOK_ID, "metadata": examples.METADATA},
            "Own room": {"avatar": examples.LOOK_ID, "aspect_ratio": "4:3", "metadata": examples.METADATA},
            "LiveKit room of this service": {"avatar": examples.LOOK_ID, "room": {"platform": "proxy"}},
            "With an output": {
                "avatar_id": examples.LOOK_ID,
                "output": {"background": {"type": "color", "color": "#1a2b3c"}, "emotion": "happy"},
            },
        },
    ),
    # Those with more members first: clients that generators make take the first one that fits, and drop the rest.
    "response_model": session_schemas.HostedCreatedWithOptions
    | session_schemas.HostedCreated
    | session_schemas.ProxyCreatedWithOptions
    | session_schemas.OwnCreatedWithOptions
    | session_schemas.OwnCreatedElsewhereWithOptions
    | session_schemas.ProxyCreated
    | session_schemas.OwnCreated
    | session_schemas.OwnCreatedElsewhere,
    "responses": answer(
        201,
        {
            "Hosted room": examples.HOSTED_CREATED,
            "Own room": examples.OWN_CREATED,
            "LiveKit room of this service": examples.PROXY_CREATED,
        },
    )
    | refusals.v1_post(
        AvatarIdRequired,
        AvatarRequired,
        AvatarNotALook,
        InvalidMetadata,
        InvalidAspectRatio,
        InvalidRoomPlatform,
        RoomPlatformUnavailable,
        RoomRefused,
        RoomEncrypted,
        RoomUrlRefused,
        RoomUnreachable,
        InvalidJson,
        *refusals.OUTPUT,
        *refusals.PHOTO,
        *refusals.PERFORMANCE,
        AccessDenied,
        AvatarNotFound,
        UnsupportedMediaType,
        SessionEnded,
        SessionLimitReached,
        BackgroundLimitReached,
    ),
}

_BILLING = {
    "name": "billing",
    "description": "`seconds`: what an ended own-room session was billed has the seconds that it lasted, and that it "
    "was seen, too",
    "enum": ["minutes", "seconds"],
    "default": "minutes",
}

LIST: Described = {
    "summary": "List sessions",
    "description": "Newest first, each in its own dialect; without `limit` and `cursor` the newest 100. "
    "`?metadata.KEY=VALUE` keeps the sessions whose metadata has that string at that top-level key.",
    "openapi_extra": parameters(
        {
            "name": "status",
            "description": "Keep only these",
            "enum": ["all", "created", "started", "ended"],
            "default": "all",
        },
        {
            "name": "limit",
            "description": "How many at most; adds `next_cursor` to the answer",
            "type": "integer",
            "minimum": 1,
            "maximum": 100,
        },
        {
            "name": "cursor",
            "description": "The `next_cursor` of the page before",
            "type": "string",
            "pattern": f"^[0-9]{{1,15}}-{SESSION_ID[1:]}",
            "example": examples.SESSION_PAGE.next_cursor,
        },
        _BILLING,
    ),
    "response_model": session_schemas.SessionPage | session_schemas.ManySessions,
    "responses": answer(200, {"All": examples.SESSIONS, "A page": examples.SESSION_PAGE})
    | refusals.v1(InvalidRequest, InvalidCursor),
}

GET: Described = {
    "summary": "Get a session",
    "openapi_extra": parameters(_BILLING),
    "response_model": session_schemas.OneSession,
    "responses": answer(
        200,
        {
            "Hosted room": examples.HOSTED_SESSION,
            "Own room": examples.OWN_SESSION,
            "Own room, ended": examples.ENDED_OWN_SESSION,
            "Own room, ended, with seconds": examples.ENDED_OWN_SESSION_WITH_SECONDS,
        },
    )
    | refusals.v1(SessionNotFound, InvalidRequest),
}

DELETE: Described = {
    "summary": "Delete a session",
    "description": "One that does not run. Nothing of it is left but its entries in the usage ledger.",
    "response_model": Done,
    "responses": answer(200, {"Deleted": Done()}) | refusals.v1(SessionNotFound, SessionNotEnded),
}

_START: Described = {
    "summary": "Start a session",
    "description": "Answers the address of the channel, or `try_again` while the avatar is being prepared. Starting a "
    "started session answers the same address again. PUT and POST are the same.",
    "response_model": session_schemas.Started,
}
_STARTED = answer(200, {"The channel": examples.CHANNEL, "Not yet": examples.TRY_AGAIN})
PUT_START: Described = _START | {"responses": _STARTED | refusals.v1(*_STARTING)}
POST_START: Described = _START | {"responses": _STARTED | refusals.v1_post(*_STARTING)}

_END: Described = {
    "summary": "End a session",
    "description": "Ending an ended session answers the same again. PUT and POST are the same.",
    "response_model": session_schemas.HostedEnded | session_schemas.OwnEnded,
}
_ENDED = answer(200, {"Hosted room": examples.HOSTED_ENDED, "Own room": examples.OWN_ENDED})
PUT_END: Described = _END | {"responses": _ENDED | refusals.v1(*_ENDING)}
POST_END: Described = _END | {"responses": _ENDED | refusals.v1_post(*_ENDING)}

METRICS: Described = {
    "summary": "Get a session's metrics",
    "description": "Of a session that runs, or is among the last 256 that have ended since the server started.",
    "response_model": metrics_schemas.SessionMetricsAnswer,
    "responses": answer(200, {"Running": examples.SESSION_METRICS})
    | refusals.v1(SessionNotFound, SessionNotStarted, SessionEnded, PerformerLost),
}
