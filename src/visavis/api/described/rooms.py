"""The description of the embedded room over HTTP."""

from __future__ import annotations

from typing import Any

from visavis.api.described import examples
from visavis.api.described.parts import Described, answer, body
from visavis.api.described.refusals import refusals
from visavis.api.schemas import room_schemas
from visavis.errors import (
    CandidatesRefused,
    Gone,
    IceRestartUnavailable,
    InternalError,
    OfferRefused,
    OriginRefused,
    PerformerLost,
    PreconditionFailed,
    PreconditionRequired,
    RoomFull,
    RoomNotFound,
    SessionNotStarted,
    TokenExpired,
    TooLarge,
    TooManyOffers,
    Unauthorized,
    UnsupportedMediaType,
    ViewerNotFound,
)

FRAGMENT_TYPE = "application/trickle-ice-sdpfrag"  # RFC 8840, section 9.2
_OPEN = (Unauthorized, TokenExpired, OriginRefused, RoomNotFound, Gone, InternalError)


def _header(description: str, example: str) -> dict[str, Any]:
    return {"description": description, "schema": {"type": "string"}, "example": example}


_LINK = _header("STUN and TURN servers, where the server has any", '<stun:stun.example.org>; rel="ice-server"')

PICTURE: Described = {
    "summary": "What a room shows",
    "description": "The video of a transparent session is twice as high as `video_height`: colour above, matte below. "
    "Ask again when the size of the video changes.",
    "response_model": room_schemas.RoomPicture,
    "responses": answer(200, {"A transparent session": examples.ROOM_PICTURE}) | refusals(*_OPEN, SessionNotStarted),
}

WATCH: Described = {
    "summary": "Watch a room (WHEP)",
    "description": "Offer to receive one video (VP8) and one audio (Opus). Candidates may come later (trickle ICE).",
    "openapi_extra": body({"application/sdp": ({"type": "string"}, {"An offer": examples.OFFER})}),
    "responses": {
        201: {
            "description": "The SDP answer, with all candidates",
            "content": {"application/sdp": {"schema": {"type": "string"}, "example": examples.SDP_ANSWER}},
            "headers": {
                "Location": _header("DELETE it to stop watching", "/rooms/vv-8a3d/whep/view_01J8Z5Q7N9"),
                "ETag": _header("The ICE session of the viewer, for If-Match", '"view_01J8Z5Q7N9"'),
                "Link": _LINK,
            },
        }
    }
    | refusals(
        *_OPEN, OfferRefused, SessionNotStarted, TooLarge, UnsupportedMediaType, TooManyOffers, RoomFull, PerformerLost
    ),
}

ENDPOINT: Described = {
    "summary": "Ask whether the room can be watched",
    "responses": {204: {"description": "The room exists and the token opens it"}} | refusals(*_OPEN),
}

VIEWER: Described = {
    "summary": "Ask whether a viewer is in the room",
    "responses": {204: {"description": "The viewer is in the room or about to connect"}}
    | refusals(*_OPEN, ViewerNotFound),
}

TRICKLE: Described = {
    "summary": "Send candidates after the offer (trickle ICE), or restart ICE",
    "description": "With `If-Match`, the newest `ETag` of the viewer (RFC 9725); `*` asks for a new ICE session.",
    "openapi_extra": body({FRAGMENT_TYPE: ({"type": "string"}, {"One candidate": examples.FRAGMENT})}),
    "responses": {
        204: {"description": "The candidates are checked"},
        200: {
            "description": "A new ICE session: the server's credentials and candidates",
            "content": {FRAGMENT_TYPE: {"schema": {"type": "string"}, "example": examples.FRAGMENT}},
            "headers": {"ETag": _header("The new ICE session, for If-Match", '"view_01J8Z5Q7N9.1"'), "Link": _LINK},
        },
    }
    | refusals(
        *_OPEN,
        CandidatesRefused,
        ViewerNotFound,
        PreconditionFailed,
        PreconditionRequired,
        TooLarge,
        UnsupportedMediaType,
        TooManyOffers,
        IceRestartUnavailable,
        PerformerLost,
    ),
}

LEAVE: Described = {
    "summary": "Stop watching",
    "responses": {200: {"description": "The viewer has left"}} | refusals(*_OPEN, ViewerNotFound, PerformerLost),
}
