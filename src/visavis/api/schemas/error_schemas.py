"""The refusals of the API. They are described here and written by api/errors.py."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field, JsonValue

from visavis.api.schemas.parts import Answer, SessionId, Time
from visavis.api.schemas.usage_schemas import Concurrency, Minutes
from visavis.errors import HTTP, declared_errors


def _without_null(schema: dict[str, Any]) -> None:
    """Describe a member that is left out where it has no value, and never null."""
    schema.pop("default", None)
    shapes = [shape for shape in schema.pop("anyOf") if shape != {"type": "null"}]
    schema |= shapes[0] if len(shapes) == 1 else {"anyOf": shapes}


_CODES: list[JsonValue] = [code for code, kind in declared_errors().items() if HTTP in kind.told_over]


class MinutesDetails(Answer):
    minutes: Minutes


class PlaceHolder(Answer):
    session_id: SessionId
    started_at: Time | None = Field(description="Null while it is being started")
    viewers: int
    channel: bool = Field(description="Whether its channel is open")


class ConcurrencyDetails(Answer):
    concurrency: Concurrency
    holders: list[PlaceHolder] = Field(description="The sessions that hold the places, at most 100")
    soonest_release: Time | None = Field(description="When the first of them expires; null where none does")


class Quota(Answer):
    """How much a key keeps, and how much it may keep."""

    current: int
    max: int
    available: int


class AvatarsDetails(Answer):
    avatars: Quota


class CreatedSessionsDetails(Answer):
    created_sessions: Quota


class BackgroundsDetails(Answer):
    backgrounds: Quota


class WebhooksDetails(Answer):
    webhooks: Quota


class EndedDetails(Answer):
    reason: str = Field(description="Why the session of the room has ended")


Details = (
    MinutesDetails
    | ConcurrencyDetails
    | AvatarsDetails
    | CreatedSessionsDetails
    | BackgroundsDetails
    | WebhooksDetails
    | EndedDetails
)


class ErrorDetail(Answer):
    model_config = ConfigDict(json_schema_serialization_defaults_required=False)

    message: str = Field(description="For a person")
    suggestion: str | None = Field(
        default=None, description="What to do next, where there is something", json_schema_extra=_without_null
    )
    code: str = Field(description="Stable", json_schema_extra={"enum": _CODES})
    details: Details | None = Field(
        default=None,
        description="Figures of INSUFFICIENT_MINUTES and the limits; why a room is over",
        json_schema_extra=_without_null,
    )


class Error(Answer):
    """Most refusals."""

    success: Literal[False] = False
    error: ErrorDetail


class KeyRefused(Answer):
    """No API key, or one that is wrong, revoked or expired."""

    error: Literal["API key required", "Invalid API key", "API key has been deactivated", "API key has expired"]


class RateLimitedBody(Answer):
    """Too many requests in a minute."""

    success: Literal[False] = False
    error: Literal["Too many requests. Please retry after 1 minute."]
