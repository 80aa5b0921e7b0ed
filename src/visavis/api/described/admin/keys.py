"""The description of /v1/admin/keys."""

from __future__ import annotations

from pydantic import Field

from visavis.accounts.scopes import Scope
from visavis.api.admin import schemas
from visavis.api.described import refusals
from visavis.api.described.admin import examples
from visavis.api.described.admin.parts import BODY, LIMIT, OF_ACCOUNT, cursor
from visavis.api.described.parts import Described, answer, json_body, parameters
from visavis.api.described.requests import Given
from visavis.errors import AccountNotFound, InvalidCursor, InvalidRequest, KeyNotActive, KeyNotFound


class CreateKey(Given):
    name: str = Field(min_length=1, max_length=100, description="What the key is for")
    account_id: str | None = Field(
        default=None, pattern=schemas.ACCOUNT_ID, description="Default: a new account with the key's name"
    )
    test: bool = Field(default=False, description="A test key: free sessions of at most 60 s")
    scopes: list[Scope] = Field(default=[], max_length=len(Scope), description="None: everything but `admin`")
    sources: list[str] = Field(
        default=[], max_length=100, description="Addresses or networks from which it may be used; none: from everywhere"
    )
    days: float | None = Field(default=None, ge=0, le=36_500, description="How long it is valid; null: until revoked")


class RotateKey(Given):
    overlap_hours: float = Field(default=24, ge=0, le=8_760, description="How long the old key goes on working")


LIST: Described = {
    "summary": "List the keys of all accounts",
    "description": "Newest first, revoked and expired ones too. No answer has a key itself.",
    "openapi_extra": parameters(OF_ACCOUNT, LIMIT, cursor(schemas.KEY_ID, examples.KEY)),
    "response_model": schemas.AdminKeyPage,
    "responses": answer(200, {"A page": examples.KEYS}) | refusals.v1(InvalidRequest, InvalidCursor),
}

GET: Described = {
    "summary": "Get a key",
    "response_model": schemas.OneAdminKey,
    "responses": answer(200, {"A key": examples.KEY_ANSWER}) | refusals.v1(KeyNotFound),
}

CREATE: Described = {
    "summary": "Create a key",
    "description": "The answer has the key itself, which is shown once.",
    "openapi_extra": json_body(
        CreateKey,
        {
            "A new account": {"name": "website"},
            "Another key of an account": {
                "name": "reports",
                "account_id": examples.ACCOUNT,
                "scopes": ["usage:read"],
                "sources": ["203.0.113.0/24"],
                "days": 90,
            },
        },
    ),
    "response_model": schemas.AdminKeyWithSecret,
    "responses": answer(201, {"Created": examples.KEY_WITH_SECRET}) | refusals.v1_post(AccountNotFound, *BODY),
}

ROTATE: Described = {
    "summary": "Replace a key",
    "description": "The new key can do the same, and the answer has it; the old one expires after the overlap. "
    "Sessions go on.",
    "openapi_extra": json_body(
        RotateKey, {"A day": {"overlap_hours": 24}, "At once": {"overlap_hours": 0}}, required=False
    ),
    "response_model": schemas.AdminKeyWithSecret,
    "responses": answer(201, {"Replaced": examples.KEY_WITH_SECRET})
    | refusals.v1_post(KeyNotFound, KeyNotActive, *BODY),
}

REVOKE: Described = {
    "summary": "Revoke a key",
    "description": "It stops at once, and its sessions end within a second. A second call changes nothing.",
    "response_model": schemas.OneAdminKey,
    "responses": answer(200, {"Revoked": examples.KEY_REVOKED}) | refusals.v1_post(KeyNotFound),
}
