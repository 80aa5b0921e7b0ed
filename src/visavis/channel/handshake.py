"""The first message of a channel: `session.init` in either form, read into a `SessionInit`."""

from __future__ import annotations

from typing import Any

from pydantic import StrictInt, ValidationError

from visavis.channel.client_message import MAX_MEMBER_CHARS, ClientMessage, Text, parse_object, require_encodable
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

FEATURES = frozenset({"playback", "binary", "state", "motion", "lifecycle", "resume", "queued", "metrics", "text"})
MAX_HOLD_S = 60


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


def read_first_message(text: str, *, path_session_id: str | None, offered: frozenset[str] = FEATURES) -> SessionInit:
    """Read a text frame that must be a `session.init`. `path_session_id`: the session that the channel's address names,
    if any; the message must name the same one. `offered`: the features that this server has.

    Raises `InitRequired`, `SessionMismatch` and what `parse_init` raises.
    """
    try:
        message = parse_object(text)
    except InvalidJson:
        raise InitRequired from None
    if message.get("type") != "session.init":
        raise InitRequired
    init = parse_init(message, offered)
    if path_session_id not in (None, init.session_id):
        raise SessionMismatch("session_id is not the session of this address")
    return init


def parse_init(message: dict[str, Any], offered: frozenset[str] = FEATURES) -> SessionInit:
    """Read a `session.init` in either form: `config` (hosted-room) or flat (own-room).

    Raises `InvalidInit`, `InvalidRoomPlatform`, `InvalidVideoDimensions` and `UnknownFeature`.
    """
    if "config" not in message:
        return SessionInit(
            session_id=_read_text(message, "session_id"),
            token=_read_token(message),
            hosted=False,
            features=_read_features(message, offered=offered),
            hold_for_viewer_s=_read_hold(message),
            received=_read_received(message),
        )
    config = message["config"]
    if not isinstance(config, dict):
        raise InvalidInit("config must be an object")
    hosted = _validate_config(config)
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
        features=_read_features(message, config, offered=offered),
        hold_for_viewer_s=_read_hold({**config, **message}),
        received=_read_received({**config, **message}),
    )


def _validate_config(config: dict[str, Any]) -> HostedConfig:
    """Check `config`. The errors whose texts are published take precedence over ours."""
    session_id, token = _read_text(config, "session_id", within="config."), _read_token(config, within="config.")
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


def _read_text(members: dict[str, Any], name: str, *, within: str = "") -> str:
    value = members.get(name)
    try:
        if not isinstance(value, str) or not value or len(value) > MAX_MEMBER_CHARS:
            raise ValueError
        return require_encodable(value)
    except ValueError:
        raise InvalidInit(f"{within}{name} must be a string") from None


def _read_token(members: dict[str, Any], *, within: str = "") -> str:
    """Read the token. Each form has its published name for it, and also accepts the name of the other form."""
    published, other = ("access_token", "session_token") if within else ("session_token", "access_token")
    return _read_text(members, other if other in members and published not in members else published, within=within)


def _read_hold(members: dict[str, Any]) -> float | None:
    value = members.get("hold_for_viewer_s")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= MAX_HOLD_S:
        raise InvalidInit(f"hold_for_viewer_s must be a number above 0, at most {MAX_HOLD_S}")
    return float(value)


def _read_received(members: dict[str, Any]) -> int | None:
    """Read `resume`, which names the last message that the client has received."""
    resume = members.get("resume")
    if resume is None:
        return None
    received = resume.get("received") if isinstance(resume, dict) else None
    if isinstance(received, bool) or not isinstance(received, int) or received < 0:
        raise InvalidInit("resume must be an object with received, an integer of at least 0")
    return received


def _read_features(*objects: dict[str, Any], offered: frozenset[str]) -> frozenset[str]:
    """Collect the `features` of all these objects: the message and its `config`."""
    names: set[str] = set()
    for members in objects:
        given = members.get("features", [])
        if not isinstance(given, list) or not all(isinstance(name, str) for name in given):
            raise UnknownFeature("features must be a list of strings")
        names.update(given)
    if "text" in names - offered:
        raise UnknownFeature("text needs a speech synthesiser, and this server has none")
    if names - offered:
        raise UnknownFeature(f"Unknown feature; this server offers {', '.join(sorted(offered))}")
    return frozenset(names)
