"""The answers about sessions, in both dialects."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, WithJsonSchema

from visavis.api.schemas.parts import Answer, SessionAvatar, SessionId, Time
from visavis.api.schemas.room_schemas import DailyRoom, EmbeddedRoom, ProxyRoom
from visavis.api.schemas.usage_schemas import Usage
from visavis.sessions.lifecycle import Status

ChannelUri = Annotated[
    str,
    WithJsonSchema(
        {
            "type": "string",
            "pattern": "^(try_again|wss?://.+/v1/channel/sess_.+)$",
            "description": "Where to open the channel; `try_again` while the avatar is being prepared: then repeat the "
            "call",
        }
    ),
]


# A create, in both dialects. A class that gives `session` or `room` its type leaves it in its place.


class Created(Answer):
    success: Literal[True] = True
    session: Answer
    usage: Usage
    message: Literal["Session created successfully"] = "Session created successfully"


class CreatedWithRoom(Answer):
    success: Literal[True] = True
    session: Answer
    room: Answer
    usage: Usage
    message: Literal["Session created successfully"] = "Session created successfully"


# The hosted-room dialect


class CreatedHostedSession(Answer):
    session_id: SessionId
    avatar: SessionAvatar
    session_type: Literal["webrtc_video"] = "webrtc_video"
    status: Status
    access_token: str = Field(description="In this answer and nowhere else")
    started_at: Time | None
    ended_at: Time | None
    expiration: Time | None
    daily_room: DailyRoom
    created_at: Time
    metadata: dict[str, Any]


class HostedSession(Answer):
    session_id: SessionId
    avatar: SessionAvatar
    session_type: Literal["webrtc_video"] = "webrtc_video"
    status: Status
    started_at: Time | None
    ended_at: Time | None
    expiration: Time | None
    duration: int | None = Field(description="Whole seconds; null until the end")
    daily_room: DailyRoom
    created_at: Time
    metadata: dict[str, Any]


class EndedHostedSession(Answer):
    session_id: SessionId
    avatar: SessionAvatar
    session_type: Literal["webrtc_video"] = "webrtc_video"
    status: Status
    started_at: Time | None
    ended_at: Time | None
    created_at: Time


class EffectiveOptions(Answer):
    """Times in whole seconds."""

    join_timeout: int
    room_empty_grace: int
    max_duration: int | None = Field(description="Null without limit")
    machine_labels: dict[str, str] = Field(description="Of the machine that performs the session")


class HostedCreated(Created):
    session: CreatedHostedSession


class HostedCreatedWithOptions(HostedCreated):
    """The answer where the request has `options`."""

    options: EffectiveOptions


class Started(Answer):
    success: Literal[True] = True
    ws_uri: ChannelUri
    expiration: Time | None
    message: Literal["Session started successfully"] = "Session started successfully"


class HostedEnded(Answer):
    success: Literal[True] = True
    session: EndedHostedSession
    message: Literal["Session ended successfully"] = "Session ended successfully"


# The own-room dialect


class CreatedOwnSession(Answer):
    session_id: SessionId
    status: Status
    session_token: str
    started_at: Time
    ended_at: None
    expiration: Time | None
    metadata: dict[str, Any]
    aspect_ratio: str = Field(json_schema_extra={"enum": ["4:3", "3:4", "1:1"]})


class OwnSession(Answer):
    session_id: SessionId
    status: Status
    started_at: Time | None
    ended_at: Time | None
    expiration: Time | None
    duration: int = Field(description="Whole seconds, until now while the session runs")
    metadata: dict[str, Any]


class Billing(Answer):
    minutes: int
    included_minutes: int
    purchased_minutes: int


class BillingWithSeconds(Billing):
    """The `billing` of a request with `?billing=seconds`."""

    seconds: int = Field(description="That the session lasted; `minutes` are these, rounded up")
    seen_seconds: int = Field(description="From the first frame that a viewer got to the last")


class EndedOwnSession(OwnSession):
    billing: BillingWithSeconds | Billing


class OwnEnd(Answer):
    session_id: SessionId
    status: Status
    started_at: Time | None
    ended_at: Time | None


class CreatedEmbeddedSession(CreatedOwnSession):
    room: EmbeddedRoom


class OwnCreated(CreatedWithRoom):
    """The room is in the session and beside it."""

    session: CreatedEmbeddedSession
    room: EmbeddedRoom


class OwnCreatedElsewhere(Created):
    """A session in a room of another server, whose address and token the caller has."""

    session: CreatedOwnSession


class CreatedProxySession(CreatedOwnSession):
    room: ProxyRoom


class ProxyCreated(CreatedWithRoom):
    """The room is in the session, where the service's clients read it, and beside it."""

    session: CreatedProxySession
    room: ProxyRoom


class ProxyCreatedWithOptions(ProxyCreated):
    """The answer where the request has `options`."""

    options: EffectiveOptions


class OwnCreatedWithOptions(OwnCreated):
    """The answer where the request has `options`."""

    options: EffectiveOptions


class OwnCreatedElsewhereWithOptions(OwnCreatedElsewhere):
    """The answer where the request has `options`."""

    options: EffectiveOptions


class OwnEnded(Answer):
    success: Literal[True] = True
    session: OwnEnd


# Both


class OneSession(Answer):
    success: Literal[True] = True
    session: HostedSession | EndedOwnSession | OwnSession


class ManySessions(Answer):
    success: Literal[True] = True
    sessions: list[HostedSession | EndedOwnSession | OwnSession]


class SessionPage(ManySessions):
    """The answer where `limit` or `cursor` was given."""

    next_cursor: str | None = Field(description="The `cursor` of the next page; null on the last one")
