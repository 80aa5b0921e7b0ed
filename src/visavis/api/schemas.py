"""The answers of the API. Fields are in the published order, and that order is the order on the wire."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from visavis.sessions.lifecycle import Status

Timestamp = Field(description="UTC, whole seconds", examples=["2024-01-15T12:05:30Z"])


class Answer(BaseModel):
    model_config = ConfigDict(frozen=True)


class ErrorDetail(Answer):
    message: str
    suggestion: str | None = None
    code: str


class Error(Answer):
    success: Literal[False] = False
    error: ErrorDetail


class SessionAvatar(Answer):
    avatar_id: str
    name: str
    url: str


class DailyRoom(Answer):
    url: str = Field(description="A page that shows the room in any browser")
    name: str
    token: str = Field(description="HS256 JWT for this room alone")


class Concurrency(Answer):
    current: int
    max: int | None
    available: int | None


class Minutes(Answer):
    total_remaining: int | None


class Usage(Answer):
    concurrency: Concurrency
    minutes: Minutes


# The hosted-room dialect


class CreatedHostedSession(Answer):
    session_id: str
    avatar: SessionAvatar
    session_type: Literal["webrtc_video"] = "webrtc_video"
    status: Status
    access_token: str = Field(description="In this answer and nowhere else")
    started_at: str | None = Timestamp
    ended_at: str | None
    expiration: str | None
    daily_room: DailyRoom
    created_at: str
    metadata: dict[str, Any]


class HostedSession(Answer):
    session_id: str
    avatar: SessionAvatar
    session_type: Literal["webrtc_video"] = "webrtc_video"
    status: Status
    started_at: str | None
    ended_at: str | None
    expiration: str | None
    duration: int | None = Field(description="Whole seconds; null until the end")
    daily_room: DailyRoom
    created_at: str
    metadata: dict[str, Any]


class EndedHostedSession(Answer):
    session_id: str
    avatar: SessionAvatar
    session_type: Literal["webrtc_video"] = "webrtc_video"
    status: Status
    started_at: str | None
    ended_at: str | None
    created_at: str


class HostedCreated(Answer):
    success: Literal[True] = True
    session: CreatedHostedSession
    usage: Usage
    message: str = "Session created successfully"


class Started(Answer):
    success: Literal[True] = True
    ws_uri: str = Field(
        description="Where to open the channel, or `try_again` while the avatar is being readied: then repeat the call"
    )
    expiration: str | None
    message: str = "Session started successfully"


class HostedEnded(Answer):
    success: Literal[True] = True
    session: EndedHostedSession
    message: str = "Session ended successfully"


# The own-room dialect


class EmbeddedRoom(Answer):
    url: str
    name: str
    token: str


class CreatedOwnSession(Answer):
    session_id: str
    status: Status
    session_token: str
    started_at: str
    ended_at: None
    expiration: str | None
    metadata: dict[str, Any]
    aspect_ratio: str


class OwnSession(Answer):
    session_id: str
    status: Status
    started_at: str | None
    ended_at: str | None
    expiration: str | None
    duration: int
    metadata: dict[str, Any]


class Billing(Answer):
    minutes: int
    included_minutes: int
    purchased_minutes: int


class EndedOwnSession(OwnSession):
    billing: Billing


class OwnEnd(Answer):
    session_id: str
    status: Status
    started_at: str | None
    ended_at: str | None


class OwnCreated(Answer):
    success: Literal[True] = True
    session: CreatedOwnSession
    room: EmbeddedRoom
    usage: Usage
    message: str = "Session created successfully"


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
    next_cursor: str | None


# Avatars


class Avatar(Answer):
    avatar_id: str
    name: str
    preview_img_url: str | None
    parent_id: str | None
    looks_count: int
    video_url: str | None
    is_favorite: Literal[0, 1]
    is_public: Literal[0, 1]
    active: Literal[0, 1]
    created_at: str
    updated_at: str


class ManyAvatars(Answer):
    success: Literal[True] = True
    avatars: list[Avatar]


class FlatAvatar(Answer):
    avatar_id: str
    tags: list[str]
    preview_url: str
    image_url: str


class FlatAvatars(Answer):
    success: Literal[True] = True
    public_avatars: list[FlatAvatar]
    my_avatars: list[FlatAvatar]


class UploadedFace(Answer):
    success: Literal[True] = True
    preview_url: str
    image_url: str
    avatar_id: str = Field(description="The look, ready to perform")


class FaceRemark(Answer):
    code: str = Field(description="Stable, SNAKE_CASE", examples=["FACE_SMALL"])
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


class Done(Answer):
    success: Literal[True] = True


# What a client sends; the handlers read it themselves, so that each fault has its own answer


class Room(BaseModel):
    platform: Literal["livekit", "daily", "proxy", "embedded"]
    url: str | None = None
    token: str | None = None


class Background(BaseModel):
    type: Literal["photo", "color", "image", "blur", "transparent", "chroma"] = "photo"
    color: str | None = Field(default=None, description='Of color and chroma, like "#1a2b3c"')
    image: str | None = Field(default=None, description="Of image: an address or a base64 image")
    strength: float | None = Field(default=None, description="Of blur: above 0, at most 1")


class Framing(BaseModel):
    zoom: float = Field(default=1.0, ge=0.5, le=2.0, description="How near the person is seen")


class Emotion(BaseModel):
    name: Literal["neutral", "happy", "sad", "surprised", "serious"]
    weight: float = Field(default=1.0, ge=0, le=1)


class Output(BaseModel):
    """How the session looks; it can be changed over the channel at any time."""

    background: Background | None = None
    framing: Framing | None = None
    emotion: Literal["neutral", "happy", "sad", "surprised", "serious"] | Emotion | None = None


class CreateSession(BaseModel):
    avatar_id: str | None = Field(default=None, description="Hosted-room dialect: a look")
    avatar: str | None = Field(
        default=None, description="Own-room dialect: an avatar id, an image address or a base64 image"
    )
    aspect_ratio: Literal["4:3", "3:4", "1:1", "auto"] = "4:3"
    room: Room | None = None
    metadata: dict[str, Any] = {}
    output: Output | None = Field(default=None, description="How the session looks; beyond the published API")


class RoomPicture(BaseModel):
    """What a room shows. The video of a transparent session is twice as high: colour above, matte below."""

    video_width: int
    video_height: int
    transparent: bool
