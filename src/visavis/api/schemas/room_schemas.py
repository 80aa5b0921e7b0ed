"""What answers tell of rooms."""

from __future__ import annotations

from pydantic import Field

from visavis.api.schemas.parts import Answer, Url


class DailyRoom(Answer):
    url: Url = Field(description="A page that shows the room in any browser")
    name: str
    token: str = Field(description="HS256 JWT for this room alone")


class EmbeddedRoom(Answer):
    url: Url
    name: str
    token: str


class ProxyRoom(Answer):
    """A LiveKit room that this service has made for the session."""

    roomURL: str = Field(description="Of the LiveKit server")  # the published name
    participantToken: str = Field(description="With it the caller joins the room")


class RoomPicture(Answer):
    """What a room shows. The video of a transparent session is twice as high: colour above, matte below."""

    video_width: int
    video_height: int
    transparent: bool
