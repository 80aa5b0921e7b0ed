"""The answers of the API. Fields are in the published order, and that order is the order on the wire."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, WithJsonSchema

from visavis.errors import HTTP, declared_errors
from visavis.sessions.lifecycle import Status


def id_pattern(kind: str) -> str:
    """Return the regular expression of ids of a kind, such as `sess`."""
    return f"^{kind}_[0-9A-HJKMNP-TV-Z]{{26}}$"


SESSION_ID, AVATAR_ID = id_pattern("sess"), id_pattern("avat")
SessionId = Annotated[str, WithJsonSchema({"type": "string", "pattern": SESSION_ID})]
AvatarId = Annotated[str, WithJsonSchema({"type": "string", "pattern": AVATAR_ID})]
_TIME = "UTC, whole seconds, like 2024-01-15T12:05:30Z"
Time = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time", "description": _TIME})]
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
Url = Annotated[str, WithJsonSchema({"type": "string", "format": "uri"})]


class Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_serialization_defaults_required=True)


# Errors: described here, written by api/errors.py


def _without_null(schema: dict[str, Any]) -> None:
    """Describe a member that is left out where it has no value, and never null."""
    schema.pop("default", None)
    shapes = [shape for shape in schema.pop("anyOf") if shape != {"type": "null"}]
    schema |= shapes[0] if len(shapes) == 1 else {"anyOf": shapes}


_CODES: list[JsonValue] = [code for code, kind in declared_errors().items() if HTTP in kind.told_over]


class Minutes(Answer):
    total_remaining: int | None = Field(description="Null where the plan is unlimited")


class Concurrency(Answer):
    current: int = Field(description="Sessions that run now; a created session does not count")
    max: int | None = Field(description="Null where the plan is unlimited")
    available: int | None


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


# Sessions


class SessionAvatar(Answer):
    avatar_id: AvatarId
    name: str
    url: Url


class DailyRoom(Answer):
    url: Url = Field(description="A page that shows the room in any browser")
    name: str
    token: str = Field(description="HS256 JWT for this room alone")


class Usage(Answer):
    concurrency: Concurrency
    minutes: Minutes


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
    """Whole seconds."""

    join_timeout: int
    room_empty_grace: int
    max_duration: int | None = Field(description="Null without limit")


class HostedCreated(Answer):
    success: Literal[True] = True
    session: CreatedHostedSession
    usage: Usage
    message: Literal["Session created successfully"] = "Session created successfully"


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


class EmbeddedRoom(Answer):
    url: Url
    name: str
    token: str


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


class OwnCreated(Answer):
    """The room is in the session and beside it."""

    success: Literal[True] = True
    session: CreatedEmbeddedSession
    room: EmbeddedRoom
    usage: Usage
    message: Literal["Session created successfully"] = "Session created successfully"


class OwnCreatedElsewhere(Answer):
    """A session in a room of another server, whose address and token the caller has."""

    success: Literal[True] = True
    session: CreatedOwnSession
    usage: Usage
    message: Literal["Session created successfully"] = "Session created successfully"


class ProxyRoom(Answer):
    """A LiveKit room that this service has made for the session."""

    roomURL: str = Field(description="Of the LiveKit server")  # the published name
    participantToken: str = Field(description="With it the caller joins the room")


class CreatedProxySession(CreatedOwnSession):
    room: ProxyRoom


class ProxyCreated(Answer):
    """The room is in the session, where the service's clients read it, and beside it."""

    success: Literal[True] = True
    session: CreatedProxySession
    room: ProxyRoom
    usage: Usage
    message: Literal["Session created successfully"] = "Session created successfully"


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


class MetricPercentiles(Answer):
    """In ms, of the last 256 values; null without a value."""

    p50: float | None
    p95: float | None
    p99: float | None


class FrameMetrics(Answer):
    rate: float = Field(description="Frames drawn in the last second")
    wanted_rate: int
    drawn: int = Field(description="Hurried ones included")
    hurried: int
    late: int = Field(description="Left out, because the next frame was due")


class SoundMetrics(Answer):
    blocks: int = Field(description="Of 20 ms")
    underruns: int
    drift_ms: float = Field(description="How far the session's clock is behind the time since its start")


class SpeechMetrics(Answer):
    queued_s: float
    utterances: int = Field(description="That have ended")
    interrupted: int


class LatencyMetrics(Answer):
    """From the turn of an utterance, when no earlier one is left."""

    motion: MetricPercentiles
    frame: MetricPercentiles = Field(description="Its first frame was encoded")
    packet: MetricPercentiles = Field(description="That frame left for a viewer")


class InterruptMetrics(Answer):
    count: int
    confirmed_ms: MetricPercentiles = Field(description="From the channel's interrupt to its confirmation")
    silent_ms: MetricPercentiles = Field(description="From its arrival at the stage until the sound had faded out")


class ViewerMetrics(Answer):
    watching: int
    round_trip_ms: float | None = Field(description="The longest that a viewer reports; null before any report")
    lost_share: float | None = Field(description="The largest share of packets that a viewer reports as lost, 0 to 1")
    bit_rate_share: float = Field(description="How much of the full bit rate is sent, 0.25 to 1: as viewers can take")
    struggling: int = Field(description="Viewers whose network is too bad for any bit rate")
    packets_sent: int
    bytes_sent: int
    dropped_pictures: int = Field(description="Because a viewer could not keep up")
    dropped_blocks: int = Field(description="Of sound, because a viewer could not keep up")


class UtteranceMetrics(Answer):
    """Times in ms count from the arrival of the first audio; null for what has not happened."""

    utterance_id: str
    received_s: float = Field(description="On the session's clock")
    started_s: float | None = Field(description="On the session's clock")
    turn_ms: float | None = Field(description="No earlier utterance was left")
    motion_ms: float | None
    frame_ms: float | None
    packet_ms: float | None
    finished_ms: float
    played_s: float
    interrupted: bool


class SessionMetrics(Answer):
    session_id: SessionId
    status: Status
    performed_s: float
    frames: FrameMetrics
    sound: SoundMetrics
    speech: SpeechMetrics
    latency_ms: LatencyMetrics
    interrupts: InterruptMetrics
    viewers: ViewerMetrics
    utterances: list[UtteranceMetrics] = Field(description="The last 32 that have ended, oldest first")


class SessionMetricsAnswer(Answer):
    success: Literal[True] = True
    metrics: SessionMetrics


# Avatars


class Avatar(Answer):
    avatar_id: AvatarId
    name: str
    preview_img_url: Url | None
    parent_id: AvatarId | None = Field(description="The character of a look; null for a character")
    looks_count: int = Field(description="Of a character; 0 for a look")
    video_url: None
    is_favorite: Literal[0, 1]
    is_public: Literal[0, 1]
    active: Literal[0, 1]
    created_at: Time
    updated_at: Time


class ManyAvatars(Answer):
    success: Literal[True] = True
    avatars: list[Avatar]


class FlatAvatar(Answer):
    avatar_id: AvatarId
    tags: list[str]
    preview_url: Url
    image_url: Url


class FlatAvatars(Answer):
    success: Literal[True] = True
    public_avatars: list[FlatAvatar]
    my_avatars: list[FlatAvatar]


class UploadedFace(Answer):
    success: Literal[True] = True
    preview_url: Url
    image_url: Url
    avatar_id: AvatarId = Field(description="The look, ready to perform")


class FaceRemark(Answer):
    code: str = Field(description="Stable", examples=["FACE_SMALL"])
    kind: Literal["found", "guessed"]
    severity: Literal["info", "warning"]
    message: str
    suggestion: str | None = Field(description="What would make a better photo; null where nothing need be better")


class FaceReport(Answer):
    verdict: Literal["good", "fair", "poor"] = Field(
        description="How good an avatar to expect: no warning, one or two, more"
    )
    photo_width_px: int
    photo_height_px: int
    eye_distance_px: float = Field(description="Between the eyes, in the photo as it came")
    roll_deg: float
    yaw_deg: float
    pitch_deg: float
    remarks: list[FaceRemark]


class FaceReportAnswer(Answer):
    success: Literal[True] = True
    report: FaceReport


class UploadedFaceWithReport(UploadedFace):
    report: FaceReport


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


class Done(Answer):
    success: Literal[True] = True


# Capacity


class FreePlaces(Answer):
    width: int
    height: int
    free: int = Field(description="How many more sessions of this size can be started; all sizes share the room")


class ServerCapacity(Answer):
    sessions: int = Field(description="Sessions that run now")
    places: list[FreePlaces]
    load: float = Field(description="The share of the processor cores that is in use, 0 to 1")
    frame_rate: float = Field(description="Frames a second that sessions show; below 25 the server is overloaded")
    wait: int = Field(description="Seconds to wait before a start; 0 while there is a place of some size")


class CapacityAnswer(Answer):
    success: Literal[True] = True
    capacity: ServerCapacity


# Usage


class UsagePeriod(Answer):
    start: Time
    end: Time


class IncludedMinutes(Answer):
    total: int | None = Field(description="Null where the plan is unlimited")
    used: int
    remaining: int | None


class PurchasedMinutes(Answer):
    total: int
    remaining: int


class ActiveSession(Answer):
    session_id: SessionId
    started_at: Time
    minutes: int = Field(description="So far, rounded up; 0 for a session of a test key")


class UsagePlan(Answer):
    key: str
    name: str
    max_session_duration: int | None = Field(description="Minutes; null where it is unlimited")
    will_renew: bool = Field(description="The included minutes are reset with the next period")


class AccountUsage(Answer):
    period: UsagePeriod
    included_minutes: IncludedMinutes
    purchased_minutes: PurchasedMinutes
    total_remaining: int | None
    active_sessions: list[ActiveSession]
    active_minutes: int
    concurrency: Concurrency
    plan: UsagePlan


class UsageSums(Answer):
    sessions: int
    minutes: int = Field(description="Billed: included and purchased ones")
    seconds: int = Field(description="That the sessions lasted")
    seen_seconds: int = Field(description="From the first frame that a viewer got of each session to the last")


class UsageDay(Answer):
    date: Annotated[str, WithJsonSchema({"type": "string", "format": "date"})]
    sessions: int
    minutes: int
    seconds: int
    seen_seconds: int


class UsageDays(Answer):
    period: UsagePeriod
    time_zone: str
    days: list[UsageDay] = Field(description="Those with usage, oldest first")
    total: UsageSums


class UsageDaysAnswer(Answer):
    success: Literal[True] = True
    usage: UsageDays


class SessionUsage(Answer):
    session_id: SessionId
    minutes: int
    seconds: int
    seen_seconds: int


class UsageSessionsAnswer(Answer):
    success: Literal[True] = True
    sessions: list[SessionUsage] = Field(description="Sorted by id")
    next_cursor: SessionId | None = Field(description="Null on the last page")


class UsageAnswer(Answer):
    success: Literal[True] = True
    usage: AccountUsage


# Rooms


class RoomPicture(Answer):
    """What a room shows. The video of a transparent session is twice as high: colour above, matte below."""

    video_width: int
    video_height: int
    transparent: bool


# Health


class Alive(Answer):
    status: Literal["ok"] = "ok"
    event_loop_delay_ms: int = Field(description="The longest delay of the event loop in the last half minute")


class Ready(Answer):
    status: Literal["ready", "starting", "stopping", "unready"]
    default_avatar: bool = Field(description="The default avatar has been performed once")
    stage: bool = Field(description="A stage process is running and answers")
    database: bool = Field(description="The database can be written")
    disk: bool = Field(description="The data folder can be written and has enough free space")
    problems: list[str] = Field(description="What is wrong, a sentence each")
