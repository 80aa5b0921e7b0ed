"""The channel as AsyncAPI 3.0 describes it (/asyncapi.json). The server's messages are described by their own models,
the client's by what the readers of `channel` take; tests hold both to the golden transcripts.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, TypeAdapter, WithJsonSchema
from pydantic.json_schema import JsonSchemaMode

from visavis.api.described.requests import EmotionName, Given, Output
from visavis.channel import server_messages
from visavis.channel.encodings import Encoding
from visavis.channel.handshake import FEATURES, MAX_HOLD_S
from visavis.channel.server_messages import ServerMessage
from visavis.channel.text import MAX_CHARS
from visavis.channel.timings import MAX_PHONEMES
from visavis.engine.speech.phones import ALPHABETS

_SCHEMAS = "#/components/schemas/"
Feature = Annotated[str, WithJsonSchema({"type": "string", "enum": sorted(FEATURES)})]
_Text = Annotated[str, Field(min_length=1, max_length=4096)]
_Rate = Annotated[int, Field(ge=8_000, le=48_000)]


# What a client sends


class ResumeFrom(Given):
    received: int = Field(ge=0, description="The last message of the server that has arrived")


class InitOptions(Given):
    """What both forms of `session.init` may have beside `type`."""

    type: Literal["session.init"]
    features: list[Feature] = Field(default=[])
    hold_for_viewer_s: float | None = Field(
        default=None, gt=0, le=MAX_HOLD_S, description="Speech waits so long for the first viewer"
    )
    resume: ResumeFrom | None = None


class HostedRoom(Given):
    platform: Literal["daily"]
    url: _Text
    token: _Text
    display_name: _Text | None = None


class InitConfig(Given):
    """Either name of the token is taken."""

    session_id: _Text
    access_token: _Text | None = None
    session_token: _Text | None = None
    room: HostedRoom
    video_width: int = Field(default=1280, ge=64, le=1920, description="Even")
    video_height: int = Field(default=720, ge=64, le=1920, description="Even")


class HostedInit(InitOptions):
    """The form of the hosted-room dialect. Opens the channel; the first message."""

    config: InitConfig


class OwnInit(InitOptions):
    """The form of the own-room dialect. Opens the channel; the first message. Either name of the token is taken."""

    session_id: _Text
    session_token: _Text | None = None
    access_token: _Text | None = None


class Phoneme(Given):
    symbol: str | int
    start_ms: float = Field(ge=0)
    end_ms: float = Field(ge=0)


class EmotionOfSpeech(Given):
    name: EmotionName
    weight: float = Field(default=1.0, ge=0, le=1)


class AgentSpeak(Given):
    """Speak this audio."""

    type: Literal["agent.speak"]
    audio: str = Field(
        description="Base64 of mono audio, PCM16 if `encoding` names nothing else; at most 10 MiB decoded"
    )
    sample_rate: _Rate = 16_000
    encoding: Encoding | None = None
    utterance_id: str | None = Field(default=None, min_length=1, max_length=128)
    final: bool = Field(default=False, description="The utterance ends with this message")
    phonemes: list[Phoneme] | None = Field(default=None, max_length=MAX_PHONEMES)
    alphabet: Annotated[str, WithJsonSchema({"type": "string", "enum": list(ALPHABETS)})] | None = None
    emotion: EmotionName | EmotionOfSpeech | None = None


class AgentSay(Given):
    """Speak this text (feature `text`)."""

    type: Literal["agent.say"]
    text: str = Field(max_length=MAX_CHARS)
    utterance_id: str | None = Field(default=None, min_length=1, max_length=128)
    final: bool | None = Field(
        default=None, description="The utterance ends with this text; default: true without an `utterance_id`"
    )
    voice: str | None = Field(default=None, min_length=1, max_length=128, description="Of the synthesiser")
    language: str | None = Field(default=None, pattern="^[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*$")


class AgentInterrupt(Given):
    """Stop speaking now; what was sent before is dropped."""

    type: Literal["agent.interrupt"]


class AgentState(Given):
    """Listen or think (feature `state`)."""

    type: Literal["agent.state"]
    state: Literal["listening", "thinking"]


class SessionUpdate(Given):
    """Change background, framing or emotion."""

    type: Literal["session.update"]
    output: Output


class AudioFormat(Given):
    """The sample rate and encoding of the binary frames that follow (feature `binary`)."""

    type: Literal["audio.format"]
    sample_rate: _Rate
    encoding: Encoding | None = None


class Ack(Given):
    """The messages up to this one have arrived (feature `resume`)."""

    type: Literal["ack"]
    seq: int = Field(ge=0)


CLIENT_MESSAGES: tuple[type[Given], ...] = (
    HostedInit,
    OwnInit,
    AgentSpeak,
    AgentSay,
    AgentInterrupt,
    AgentState,
    SessionUpdate,
    AudioFormat,
    Ack,
)
_Model = TypeVar("_Model", bound=BaseModel)


def type_of(model: type[BaseModel]) -> str:
    """Return the value of `type` in a message."""
    return str(model.model_json_schema()["properties"]["type"]["const"])


def server_models() -> list[type[ServerMessage]]:
    """Return the models of all messages that the server sends."""
    found = [one for one in vars(server_messages).values() if isinstance(one, type) and issubclass(one, ServerMessage)]
    return [one for one in found if one is not ServerMessage]


def asyncapi(*, version: str, public_url: str | None) -> dict[str, Any]:
    """Return the description. `public_url`: where clients reach the server, if that is known."""
    address = urlsplit(public_url or "http://127.0.0.1:8000")
    schemas: dict[str, Any] = {}
    messages = {
        model.__name__: _message(model, schemas)
        for model in (*CLIENT_MESSAGES, *sorted(server_models(), key=lambda model: model.__name__))
    } | {"Audio": _AUDIO}
    sent = [model.__name__ for model in server_models()]
    received = [*(model.__name__ for model in CLIENT_MESSAGES), "Audio"]
    of_channel = {name: {"$ref": f"#/components/messages/{name}"} for name in messages}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Visavis channel",
            "version": version,
            "description": "The WebSocket of a session: speech and changes to the server; confirmations, events and "
            "errors to the client. The first message is `session.init`, with the session's token. The server shows "
            "the reference at /docs/channel, and the calls over HTTP at /openapi.json.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "visavis": {
                "host": address.netloc,
                "pathname": address.path or "/",
                "protocol": "wss" if address.scheme == "https" else "ws",
            }
        },
        "channels": {
            "session": {
                "address": "/v1/channel/{session_id}",
                "title": "The channel of the session of the address",
                "parameters": {"session_id": {"description": "The session; a start answers the address as `ws_uri`"}},
                "messages": of_channel,
            },
            "channel": {
                "address": "/v1/channel",
                "title": "The channel of the session that the first message names",
                "messages": of_channel,
            },
        },
        "operations": {
            f"{action}_{channel}": {
                "action": action,
                "summary": summary,
                "channel": {"$ref": f"#/channels/{channel}"},
                "messages": [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in names],
            }
            for channel in ("session", "channel")
            for action, summary, names in (
                ("receive", "What the server takes", received),
                ("send", "What the server says", sent),
            )
        },
        "components": {"messages": messages, "schemas": schemas},
    }


_AUDIO = {
    "name": "audio",
    "title": "Audio",
    "summary": "A binary frame (feature `binary`): mono audio as `audio.format` tells, otherwise PCM16 at 16 kHz",
    "contentType": "application/octet-stream",
    "payload": {"type": "string", "format": "binary"},
}


def _message(model: type[_Model], schemas: dict[str, Any]) -> dict[str, Any]:
    """Describe a message; its schema, and those that it names, are among `schemas` from then on."""
    # The server sends all members of its messages, those with a default too.
    mode: JsonSchemaMode = "serialization" if issubclass(model, ServerMessage) else "validation"
    schema = TypeAdapter(model).json_schema(ref_template=_SCHEMAS + "{model}", mode=mode)
    schemas.update(schema.pop("$defs", {}))
    schemas[model.__name__] = schema
    summary = " ".join((model.__doc__ or type_of(model)).split())
    return {
        "name": type_of(model),
        "title": model.__name__,
        "summary": summary.split(". ")[0].rstrip("."),
        "payload": {"$ref": _SCHEMAS + model.__name__},
    }
