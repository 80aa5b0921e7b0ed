"""What a client sends, described. The handlers read it themselves, so that each fault has its own answer.

A default that is an object has a factory, so that the description does not show it: generators of clients leave out the
whole call then (tests/contract/test_generated_client.py).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from visavis.channel.handshake import MAX_HOLD_S
from visavis.engine.motion.mood import EMOTIONS
from visavis.engine.portrait.points import NAMES
from visavis.machine import labels

Colour = Annotated[str, WithJsonSchema({"type": "string", "pattern": "^#([0-9a-fA-F]{3}|[0-9a-fA-F]{6})$"})]
_IMAGE = "An http(s) address, or base64 with or without its data: prefix"
Image = Annotated[str, WithJsonSchema({"type": "string", "minLength": 1, "description": _IMAGE})]
_LABEL = {"type": "string", "pattern": f"^{labels.PATTERN}$"}
_LABELS: dict[str, Any] = {"type": "object", "maxProperties": labels.MAX_LABELS, "additionalProperties": _LABEL}
Labels = Annotated[dict[str, str], WithJsonSchema(_LABELS)]
EmotionName = Annotated[str, WithJsonSchema({"type": "string", "enum": list(EMOTIONS)})]


class Given(BaseModel):
    """Unknown members are ignored."""


class Strict(BaseModel):
    """Unknown members are refused."""

    model_config = ConfigDict(extra="forbid")


# Output


class PhotoBackground(Strict):
    """The photo's own background."""

    type: Literal["photo"]


class ColorBackground(Strict):
    type: Literal["color"]
    color: Colour


class ImageBackground(Strict):
    """A picture that covers the frame: JPEG, PNG, WebP or GIF, at most 10 MB."""

    type: Literal["image"]
    image: Image


class BlurBackground(Strict):
    """The photo's own background, out of focus."""

    type: Literal["blur"]
    strength: float = Field(default=0.5, gt=0, le=1)


class TransparentBackground(Strict):
    """No background: the video is twice as high, colours above, matte below."""

    type: Literal["transparent"]


class ChromaBackground(Strict):
    """A flat key colour."""

    type: Literal["chroma"]
    color: Colour = "#00b140"


class Framing(Strict):
    zoom: float = Field(default=1.0, ge=0.5, le=2.0, description="How near the person is seen")


class Emotion(Strict):
    name: EmotionName
    weight: float = Field(default=1.0, ge=0, le=1)


class Output(Strict):
    """How the session looks. A member that is left out or null has its default."""

    background: (
        PhotoBackground
        | ColorBackground
        | ImageBackground
        | BlurBackground
        | TransparentBackground
        | ChromaBackground
        | None
    ) = None
    framing: Framing | None = None
    emotion: EmotionName | Emotion | None = None


# Sessions


class Room(Given):
    platform: Literal["embedded", "proxy"] = Field(
        description="`embedded`: the built-in room. `proxy`: a LiveKit room that this service makes"
    )


class LiveKitRoom(Given):
    """A room of the caller's own."""

    platform: Literal["livekit"]
    url: Annotated[str, WithJsonSchema({"type": "string", "pattern": "^(wss?|https?)://[a-z0-9.-]+$"})]
    token: str = Field(min_length=1, description="Of the avatar")
    hold_for_viewer_s: float | None = Field(
        default=None, gt=0, le=MAX_HOLD_S, description="The first speech waits so long for a user of the room"
    )


class CallersDailyRoom(Given):
    """A Daily room of the caller's own."""

    platform: Literal["daily"]
    url: Annotated[
        str, WithJsonSchema({"type": "string", "pattern": "^https://[a-z0-9-]+[.]daily[.]co/[A-Za-z0-9_-]+$"})
    ]
    token: str = Field(min_length=1, description="A meeting token of the avatar")


class Options(Given):
    """Times in whole seconds. What is left out or null is as the server and the plan have it."""

    join_timeout: int | None = Field(default=None, ge=1, le=86_400, description="Without a first viewer")
    room_empty_grace: int | None = Field(default=None, ge=0, le=86_400, description="After the last viewer has left")
    max_duration: int | None = Field(default=None, ge=1, le=604_800, description="At most what the plan allows")
    machine_labels: Labels = Field(
        default_factory=dict, description="In a fleet: only a machine with all these labels performs the session"
    )


class CreateHostedSession(Given):
    """The hosted-room dialect: the session is created, and started by another call."""

    avatar_id: str = Field(min_length=1, description="A look")
    metadata: dict[str, Any] = Field(default={}, description="At most 16 KiB of JSON")
    output: Output = Field(default_factory=Output, description="Beyond the published API")
    options: Options = Field(
        default_factory=Options, description="Beyond the published API; the answer has them too then"
    )


class CreateOwnSession(Given):
    """The own-room dialect: the session starts at once. A body with `avatar` or `room` is in this dialect."""

    avatar: str = Field(min_length=1, description="An avatar id, an http(s) address of an image, or a base64 image")
    aspect_ratio: Literal["4:3", "3:4", "1:1", "auto"] = Field(default="4:3", description="`auto` is `4:3`")
    room: Room | LiveKitRoom | CallersDailyRoom = Field(
        default_factory=lambda: Room(platform="embedded"), description="Left out: the built-in one"
    )
    metadata: dict[str, Any] = Field(default={}, description="At most 16 KiB of JSON")
    output: Output = Field(default_factory=Output, description="Beyond the published API")
    options: Options = Field(
        default_factory=Options, description="Beyond the published API; the answer has them too then"
    )


# Browser tokens


class MintToken(Given):
    purpose: Literal["watch", "speak", "control"] = Field(
        description="Join the room; open the channel; start and end the session and read its metrics"
    )
    expires_in: int = Field(default=600, ge=1, le=86_400, description="Seconds")
    origins: list[Annotated[str, WithJsonSchema({"type": "string", "pattern": "^https?://[^/]+$"})]] = Field(
        default=[], max_length=20, description="Of the pages that may use it; without any, all may"
    )


# Faces

_PLACE = {"type": "array", "items": {"type": "number", "minimum": 0, "maximum": 1}, "minItems": 2, "maxItems": 2}
POINTS: dict[str, Any] = {
    "type": "object",
    "description": "Where the face is: seven points of the upright picture, x and y from 0 to 1",
    "properties": dict.fromkeys(NAMES, _PLACE),
    "required": list(NAMES),
    "additionalProperties": False,
}
