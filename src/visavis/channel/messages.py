"""The channel's messages as they are on the wire: what a client may send, checked strictly, and what it is answered.

Parsing never guesses: `true` is no number, `"16000"` is no rate, base64 has its padding and nothing else. Members that a message does not know are
ignored, so that a client newer than this server still speaks. Errors keep the texts and codes of the table in `ERROR_CODES`.
"""

from __future__ import annotations

import binascii
import json
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr, ValidationError

from visavis.channel.port import SessionInit
from visavis.channel.video_size import is_valid_video_size
from visavis.engine.motion.arkit_names import ARKIT, HEAD, MOTION_STREAM_RATE_HZ
from visavis.errors import VisavisError
from visavis.fleet.port import Attitude, State

MAX_AUDIO_BYTES = 10 * 1024 * 1024  # of one message, decoded: 327 s at 16 kHz
MAX_TEXT_CHARS = MAX_AUDIO_BYTES // 3 * 4 + 65_536  # the same in base64, and the rest of its message
CONFIRMED_RATE_HZ = 16_000  # `audio_samples` counts at this rate, whatever the speech came in
FEATURES = frozenset({"playback", "binary", "state", "motion"})

# Every `code` that an error of the channel can carry. Codes of errors.py (attach, speak) pass through as they are.
ERROR_CODES: dict[str, str] = {
    "INIT_REQUIRED": "the first message was no session.init; close 4400",
    "INIT_TIMEOUT": "no session was opened within 10 s; close 4408",
    "ALREADY_INITIALIZED": "a second session.init on an open session",
    "INVALID_INIT": "session.init lacks a member, or has one of the wrong type",
    "INVALID_ROOM_PLATFORM": "config.room.platform is not daily",
    "INVALID_VIDEO_DIMENSIONS": "not even integers, too small, too long, or no listed ratio",
    "UNKNOWN_FEATURE": "features names something that this server does not offer",
    "SESSION_MISMATCH": "session.init names another session than the address; close 4404",
    "INVALID_JSON": "a text frame that is no JSON object",
    "INVALID_UTF8": "a text frame that is no UTF-8; close 1007",
    "UNKNOWN_TYPE": "type is absent or unknown",
    "INVALID_MESSAGE": "a known type with a member of the wrong type",
    "INVALID_AUDIO": "audio is absent or not base64",
    "ODD_AUDIO_LENGTH": "PCM16 has two bytes a sample",
    "INVALID_PHONEMES": "phonemes that cannot be followed; the audio of the message is taken, and spoken as it is heard",
    "INVALID_OUTPUT": "session.update without an output object, or with a member that it does not have",
    "INVALID_BACKGROUND": "a background that is none: an unknown type, no colour, an image that cannot be fetched or read",
    "INVALID_FRAMING": "a framing that is none",
    "IMAGE_TOO_LARGE": "a background image of more than 10 MB, or of too many pixels",
    "UPDATE_PENDING": "four updates of the session are under way already; this one was not taken",
    "INVALID_STATE": "agent.state of a client is listening or thinking",
    "INVALID_EMOTION": "no emotion of ours, or a weight that is none; the rest of the message is taken",
    "INVALID_SAMPLE_RATE": "not an integer from 8000 to 48000",
    "FEATURE_NOT_ENABLED": "a binary frame or audio.format without the feature `binary`, agent.state without `state`",
    "MESSAGE_TOO_LARGE": "more than 10 MiB of audio in one message; close 1009",
    "SESSION_NOT_FOUND": "no such session; close 4404",
    "UNAUTHORIZED": "the token does not open this session; close 4401",
    "SESSION_ENDED": "close 4410",
    "SESSION_NOT_STARTED": "a hosted session before its start",
    "INVALID_ROOM_URL": "config.room.url is not the session's own",
    "QUEUE_FULL": "more than 600 s of speech are queued; this message was not taken",
    "NO_CAPACITY": "no performer is free; try again",
    "PERFORMER_LOST": "the performer died; the session is about to end",
    "INTERNAL": "our fault; close 1011",
}


class ChannelError(VisavisError):
    """A message that the channel cannot take. `close_with`: the close code that follows, None where the channel stays open."""

    status = 400

    def __init__(self, message: str, code: str, *, close_with: int | None = None) -> None:
        assert code in ERROR_CODES, code
        super().__init__(message, code=code)
        self.close_with = close_with


def _encodable(text: str) -> str:
    """Refuse what no store, log or pipe could carry on: lone surrogates (JSON's \\ud800) and NUL."""
    if "\0" in text:
        raise ValueError("contains NUL")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("is not Unicode text") from None
    return text


Text = Annotated[StrictStr, Field(max_length=4096), AfterValidator(_encodable)]
UtteranceId = Annotated[StrictStr, Field(min_length=1, max_length=128), AfterValidator(_encodable)]
SampleRate = Annotated[StrictInt, Field(ge=8_000, le=48_000)]


class ClientMessage(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Room(ClientMessage):
    platform: Text
    url: Text
    token: Text
    display_name: Text | None = None


class HostedConfig(ClientMessage):
    session_id: Text
    token: Text
    room: Room
    video_width: StrictInt = 1280
    video_height: StrictInt = 720


class AgentSpeak(ClientMessage):
    audio: StrictStr
    sample_rate: SampleRate = CONFIRMED_RATE_HZ
    utterance_id: UtteranceId | None = None
    final: StrictBool = False
    # How it is to be said: read by delivery.py, whose refusals cost the speech nothing.
    phonemes: Any = None
    alphabet: Any = None
    emotion: Any = None


class AudioFormat(ClientMessage):
    sample_rate: SampleRate


class ServerMessage(BaseModel):
    """One text frame to the client; members in the order of their declaration, `type` first."""

    model_config = ConfigDict(frozen=True)


class ConnectionEstablished(ServerMessage):
    type: Literal["connection.established"] = "connection.established"
    session_id: str


class SpeakConfirmed(ServerMessage):
    type: Literal["agent.speak.confirmed"] = "agent.speak.confirmed"
    audio_samples: int


class InterruptConfirmed(ServerMessage):
    type: Literal["agent.interrupt.confirmed"] = "agent.interrupt.confirmed"


class SessionUpdated(ServerMessage):
    """The output as it is now, whole; of a background image only that there is one."""

    type: Literal["session.updated"] = "session.updated"
    output: dict[str, Any]


class PlaybackStartedMessage(ServerMessage):
    type: Literal["agent.playback.started"] = "agent.playback.started"
    utterance_id: str


class PlaybackFinishedMessage(ServerMessage):
    type: Literal["agent.playback.finished"] = "agent.playback.finished"
    utterance_id: str
    position_s: float
    interrupted: bool


class StateMessage(ServerMessage):
    type: Literal["agent.state"] = "agent.state"
    state: State


class MotionFormat(ServerMessage):
    """What the numbers of every `agent.motion` that follows stand for."""

    type: Literal["agent.motion.format"] = "agent.motion.format"
    rate_hz: int = MOTION_STREAM_RATE_HZ
    coefficients: tuple[str, ...] = ARKIT
    head: tuple[str, ...] = HEAD


class MotionMessage(ServerMessage):
    type: Literal["agent.motion"] = "agent.motion"
    utterance_id: str | None
    position_s: float
    coefficients: list[list[float]]
    head: list[list[float]]


class MotionCutMessage(ServerMessage):
    type: Literal["agent.motion.cut"] = "agent.motion.cut"
    utterance_id: str
    position_s: float


class ErrorMessage(ServerMessage):
    type: Literal["error"] = "error"
    error: str
    code: str


def parse_object(text: str) -> dict[str, Any]:
    """Read a text frame. Raises `ChannelError` INVALID_JSON for anything but a JSON object."""
    try:
        parsed = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise ChannelError("Message is not valid JSON", "INVALID_JSON") from None
    if not isinstance(parsed, dict):
        raise ChannelError("Message must be a JSON object", "INVALID_JSON")
    return parsed


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")  # json.loads takes NaN and Infinity, RFC 8259 does not


def parse_init(message: dict[str, Any]) -> SessionInit:
    """Read a `session.init` in either form: `config` (hosted-room) or flat (own-room). Raises `ChannelError`."""
    if "config" not in message:
        return SessionInit(session_id=_text(message, "session_id"), token=_token(message), hosted=False, features=_features(message, {}))
    config = message["config"]
    if not isinstance(config, dict):
        raise ChannelError("config must be an object", "INVALID_INIT")
    session_id, token = _text(config, "session_id", within="config."), _token(config, within="config.")
    room = config.get("room")
    if not isinstance(room, dict) or room.get("platform") != "daily":
        raise ChannelError("Invalid room platform", "INVALID_ROOM_PLATFORM")
    try:
        hosted = HostedConfig.model_validate({**config, "session_id": session_id, "token": token})
    except ValidationError as error:
        place = error.errors(include_url=False, include_context=False, include_input=False)[0]["loc"]
        if place[0] in ("video_width", "video_height"):
            raise ChannelError("Invalid video dimensions", "INVALID_VIDEO_DIMENSIONS") from None
        raise ChannelError(f"config.{'.'.join(map(str, place))} must be a string", "INVALID_INIT") from None
    if not is_valid_video_size(hosted.video_width, hosted.video_height):
        raise ChannelError("Invalid video dimensions", "INVALID_VIDEO_DIMENSIONS")
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


def _text(members: dict[str, Any], name: str, *, within: str = "") -> str:
    value = members.get(name)
    try:
        if not isinstance(value, str) or not value or len(value) > 4096:
            raise ValueError
        return _encodable(value)
    except ValueError:
        raise ChannelError(f"{within}{name} must be a string", "INVALID_INIT") from None


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
            raise ChannelError("features must be a list of strings", "UNKNOWN_FEATURE")
        names.update(given)
    unknown = sorted(names - FEATURES)
    if unknown:
        raise ChannelError(f"Unknown feature; this server offers {', '.join(sorted(FEATURES))}", "UNKNOWN_FEATURE")
    return frozenset(names)


def parse_speak(message: dict[str, Any]) -> tuple[AgentSpeak, bytes]:
    """Read an `agent.speak` and its PCM16 bytes. Raises `ChannelError`."""
    speak = _validated(AgentSpeak, message)
    assert isinstance(speak, AgentSpeak)
    try:
        pcm = binascii.a2b_base64(speak.audio, strict_mode=True)
    except ValueError:  # binascii.Error for what is not base64, ValueError for what is not ASCII
        raise ChannelError("audio is not base64 (RFC 4648, with its padding)", "INVALID_AUDIO") from None
    check_pcm(pcm)
    return speak, pcm


def parse_state(message: dict[str, Any]) -> Attitude:
    """Read an `agent.state` of a client. Raises `ChannelError`."""
    match message.get("state"):
        case "listening":
            return "listening"
        case "thinking":
            return "thinking"
    raise ChannelError("state must be listening or thinking", "INVALID_STATE")


def parse_audio_format(message: dict[str, Any]) -> int:
    """Read an `audio.format`; return the rate in Hz. Raises `ChannelError`."""
    audio_format = _validated(AudioFormat, message)
    assert isinstance(audio_format, AudioFormat)
    return audio_format.sample_rate


def check_pcm(pcm: bytes) -> None:
    """Raises `ChannelError` for more than 10 MiB (close 1009) and for half a sample."""
    if len(pcm) > MAX_AUDIO_BYTES:
        raise too_large()
    if len(pcm) % 2:
        raise ChannelError("audio has an odd number of bytes; PCM16 has two a sample", "ODD_AUDIO_LENGTH")


def too_large() -> ChannelError:
    return ChannelError("Message too large; at most 10 MB of audio", "MESSAGE_TOO_LARGE", close_with=1009)


_SPEAK_ERRORS = {
    "audio": ("audio must be a base64 string", "INVALID_AUDIO"),
    "sample_rate": ("sample_rate must be an integer from 8000 to 48000", "INVALID_SAMPLE_RATE"),
    "utterance_id": ("utterance_id must be a string of 1 to 128 characters", "INVALID_MESSAGE"),
    "final": ("final must be true or false", "INVALID_MESSAGE"),
}


def _validated(model: type[ClientMessage], message: dict[str, Any]) -> ClientMessage:
    try:
        return model.model_validate(message)
    except ValidationError as error:
        member = str(error.errors(include_url=False, include_context=False, include_input=False)[0]["loc"][0])
        text, code = _SPEAK_ERRORS[member]
        raise ChannelError(text, code) from None
