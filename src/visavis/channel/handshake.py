"""How a conversation is opened: `session.init`, in either form, read into what a session is attached to with."""

from __future__ import annotations

from typing import Any

from pydantic import StrictInt, ValidationError

from visavis.channel.client_message import MAX_MEMBER_CHARS, ClientMessage, Text, encodable, parse_object
from visavis.channel.port import SessionInit
from visavis.channel.video_size import is_valid_video_size
from visavis.errors import (
    InitRequired,
    InvalidInit,
    InvalidJson,
    InvalidRoomPlatform,
    InvalidVideoDimensions,
    SessionMismatch,
    UnknownFeature,
)

FEATURES = frozenset({"playback", "binary", "state", "motion"})


class RoomAccess(ClientMessage):
    platform: Text
    url: Text
    token: Text
    display_name: Text | None = None


class HostedConfig(ClientMessage):
    session_id: Text
    token: Text
    room: RoomAccess
    video_width: StrictInt = 1280
    video_height: StrictInt = 720


def read_first_message(text: str, *, path_session_id: str | None) -> SessionInit:
    """Read a text frame that must be a `session.init`, of the session named in the address where it names one. Raises
    the errors of `InvalidRequest`.
    """
    try:
        message = parse_object(text)
    except InvalidJson:
        raise InitRequired from None
    if message.get("type") != "session.init":
        raise InitRequired
    init = parse_init(message)
    if path_session_id not in (None, init.session_id):
        raise SessionMismatch("session_id is not the session of this address")
    return init


def parse_init(message: dict[str, Any]) -> SessionInit:
    """Read a `session.init` in either form: `config` (hosted-room) or flat (own-room). Raises the errors of
    `InvalidRequest`.
    """
    if "config" not in message:
        return SessionInit(
            session_id=_text(message, "session_id"),
            token=_token(message),
            hosted=False,
            features=_features(message, {}),
        )
    config = message["config"]
    if not isinstance(config, dict):
        raise InvalidInit("config must be an object")
    hosted = _hosted(config)
    return SessionInit(
        session_id=hosted.session_id,
        token=hosted.token,
        hosted=True,
        width_px=hosted.video_width,
        height_px=hosted.video_height,
        room_platform=hosted.room.platform,
        room_url=hosted.room.url,
        room_token=hosted.room.token,
        display_name=hosted.room.display_name,
        features=_features(message, config),
    )


def _hosted(config: dict[str, Any]) -> HostedConfig:
    """Check `config`, its published errors first."""
    session_id, token = _text(config, "session_id", within="config."), _token(config, within="config.")
    room = config.get("room")
    if not isinstance(room, dict) or room.get("platform") != "daily":
        raise InvalidRoomPlatform
    try:
        hosted = HostedConfig.model_validate({**config, "session_id": session_id, "token": token})
    except ValidationError as error:
        place = error.errors(include_url=False, include_context=False, include_input=False)[0]["loc"]
        if place[0] in ("video_width", "video_height"):
            raise InvalidVideoDimensions from None
        raise InvalidInit(f"config.{'.'.join(map(str, place))} must be a string") from None
    if not is_valid_video_size(hosted.video_width, hosted.video_height):
        raise InvalidVideoDimensions
    return hosted


def _text(members: dict[str, Any], name: str, *, within: str = "") -> str:
    value = members.get(name)
    try:
        if not isinstance(value, str) or not value or len(value) > MAX_MEMBER_CHARS:
            raise ValueError
        return encodable(value)
    except ValueError:
        raise InvalidInit(f"{within}{name} must be a string") from None


def _token(members: dict[str, Any], *, within: str = "") -> str:
    """Read the token; either name is taken in either form."""
    published, other = ("access_token", "session_token") if within else ("session_token", "access_token")
    return _text(members, other if other in members and published not in members else published, within=within)


def _features(*places: dict[str, Any]) -> frozenset[str]:
    """Gather `features` from beside `config` and from within it."""
    names: set[str] = set()
    for place in places:
        given = place.get("features", [])
        if not isinstance(given, list) or not all(isinstance(name, str) for name in given):
            raise UnknownFeature("features must be a list of strings")
        names.update(given)
    unknown = sorted(names - FEATURES)
    if unknown:
        raise UnknownFeature(f"Unknown feature; this server offers {', '.join(sorted(FEATURES))}")
    return frozenset(names)
