"""The answers about what browsers hold: tokens for one session, and the sign-in of an operator."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, WithJsonSchema

from visavis.api.schemas.parts import Answer, Time, id_pattern


class BrowserToken(Answer):
    token_id: Annotated[str, WithJsonSchema({"type": "string", "pattern": id_pattern("tok")})]
    token: str = Field(description="In this answer and nowhere else")
    purpose: Literal["watch", "speak", "control"]
    expires_at: Time
    origins: list[str]


class BrowserTokenMinted(Answer):
    success: Literal[True] = True
    token: BrowserToken


class SignInKey(Answer):
    name: str
    start: str = Field(description="The key's first characters")
    test: bool
    scopes: list[str]


class SignIn(Answer):
    key: SignInKey
    expires_at: Time
    page_token: str = Field(description="What a page sends with each call in the header X-Visavis-Page")
    text: bool = Field(description="Whether the server speaks text")


class SignedIn(Answer):
    success: Literal[True] = True
    sign_in: SignIn | None
