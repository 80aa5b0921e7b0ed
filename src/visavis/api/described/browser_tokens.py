"""The descriptions of /v1/sessions/{session_id}/tokens."""

from __future__ import annotations

from visavis.api.described import examples, refusals
from visavis.api.described.parts import Described, answer, json_body
from visavis.api.described.requests import MintToken
from visavis.api.schemas import browser_schemas
from visavis.api.schemas.parts import Done
from visavis.errors import (
    InvalidJson,
    InvalidRequest,
    SessionEnded,
    SessionNotFound,
    TokenNotFound,
    UnsupportedMediaType,
)

MINT: Described = {
    "summary": "Make a token for a browser",
    "description": "It opens this session for one purpose, for a short time, and can be revoked. It is in this answer "
    "and nowhere else.",
    "openapi_extra": json_body(
        MintToken, {"Watch from one site": {"purpose": "watch", "origins": ["https://www.example.com"]}}
    ),
    "response_model": browser_schemas.BrowserTokenMinted,
    "responses": answer(201, {"Watch from one site": examples.BROWSER_TOKEN}, description="Made")
    | refusals.v1_post(InvalidRequest, InvalidJson, UnsupportedMediaType, SessionNotFound, SessionEnded),
}

REVOKE: Described = {
    "summary": "Revoke a browser token",
    "description": "Viewers who have joined with it leave the room, and a channel that it has opened closes with 4401.",
    "response_model": Done,
    "responses": answer(200, {"Revoked": Done()}) | refusals.v1(SessionNotFound, TokenNotFound),
}
