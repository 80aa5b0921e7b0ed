"""What the answers of the API are made of. Fields are in the published order, which is the order on the wire."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, WithJsonSchema


def id_pattern(kind: str) -> str:
    """Return the regular expression of ids of a kind, such as `sess`."""
    return f"^{kind}_[0-9A-HJKMNP-TV-Z]{{26}}$"


SESSION_ID, AVATAR_ID = id_pattern("sess"), id_pattern("avat")
SessionId = Annotated[str, WithJsonSchema({"type": "string", "pattern": SESSION_ID})]
AvatarId = Annotated[str, WithJsonSchema({"type": "string", "pattern": AVATAR_ID})]
_TIME = "UTC, whole seconds, like 2024-01-15T12:05:30Z"
Time = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time", "description": _TIME})]
Url = Annotated[str, WithJsonSchema({"type": "string", "format": "uri"})]


class Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_serialization_defaults_required=True)


class SessionAvatar(Answer):
    """The avatar of a session."""

    avatar_id: AvatarId
    name: str
    url: Url


class Done(Answer):
    success: Literal[True] = True
