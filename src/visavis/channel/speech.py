"""Reads the speech of a client: `agent.speak`, binary frames and `audio.format`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, Field, StrictBool, StrictInt, StrictStr, ValidationError

from visavis.base64_text import decode_base64
from visavis.channel.client_message import MAX_AUDIO_BYTES, ClientMessage, message_too_large, require_encodable
from visavis.channel.encodings import ENCODINGS, USUAL, Encoding, to_pcm16
from visavis.channel.speech_annotations import read_annotations
from visavis.errors import InvalidAudio, InvalidMessage, InvalidRequest, InvalidSampleRate
from visavis.stage.port.values import Speech

DEFAULT_RATE_HZ = 16_000

UtteranceId = Annotated[StrictStr, Field(min_length=1, max_length=128), AfterValidator(require_encodable)]
SampleRate = Annotated[StrictInt, Field(ge=8_000, le=48_000)]


class AgentSpeak(ClientMessage):
    audio: StrictStr
    sample_rate: SampleRate = DEFAULT_RATE_HZ
    encoding: Encoding | None = None
    utterance_id: UtteranceId | None = None
    final: StrictBool = False
    # annotations: speech_annotations.py reads them, and refuses them without refusing the speech
    phonemes: Any = None
    alphabet: Any = None
    emotion: Any = None


class AudioFormat(ClientMessage):
    sample_rate: SampleRate
    encoding: Encoding | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadSpeech:
    """A piece of speech. `raw`: its audio as it came, in `encoding`, which the client has `named` or not. `refused`: an
    error for each annotation that was refused.
    """

    speech: Speech
    raw: bytes
    encoding: Encoding = USUAL
    named: bool = False
    refused: tuple[InvalidRequest, ...] = ()


def read_speak(message: dict[str, Any], *, number: int) -> ReadSpeech:
    """Read an `agent.speak`. Raises `InvalidMessage`."""
    speak = _validate(AgentSpeak, message)
    raw = _decode_audio(speak.audio)
    encoding = speak.encoding or USUAL
    pcm = _to_pcm16(raw, encoding)
    duration_ms = len(pcm) * 500 / speak.sample_rate
    annotations = read_annotations(speak.phonemes, speak.alphabet, speak.emotion, duration_ms=duration_ms)
    speech = Speech(
        pcm=pcm,
        sample_rate_hz=speak.sample_rate,
        number=number,
        utterance_id=speak.utterance_id,
        final=speak.final,
        visemes=annotations.visemes,
        mood=annotations.mood,
    )
    named = speak.encoding is not None
    return ReadSpeech(speech=speech, raw=raw, encoding=encoding, named=named, refused=annotations.errors)


def read_binary(data: bytes, *, rate_hz: int, number: int, encoding: Encoding = USUAL) -> ReadSpeech:
    """Read a binary frame. Raises `MessageTooLarge` and `OddAudioLength`."""
    _check_size(data)
    speech = Speech(pcm=_to_pcm16(data, encoding), sample_rate_hz=rate_hz, number=number)
    return ReadSpeech(speech=speech, raw=data, encoding=encoding)


def read_audio_format(message: dict[str, Any]) -> AudioFormat:
    """Read an `audio.format`. Raises `InvalidMessage`."""
    return _validate(AudioFormat, message)


def _to_pcm16(raw: bytes, encoding: Encoding) -> bytes:
    """Raises `MessageTooLarge` for more than 10 MiB of PCM16, and `OddAudioLength`."""
    pcm = to_pcm16(raw, encoding)
    _check_size(pcm)
    return pcm


def _decode_audio(audio: str) -> bytes:
    try:
        pcm = decode_base64(audio)
    except ValueError:
        raise InvalidAudio("audio is not base64 (RFC 4648, with + and /)") from None
    _check_size(pcm)
    return pcm


def _check_size(pcm: bytes) -> None:
    """Raises `MessageTooLarge` for more than 10 MiB."""
    if len(pcm) > MAX_AUDIO_BYTES:
        raise message_too_large()


_ERRORS: dict[str, tuple[type[InvalidMessage], str]] = {  # by member
    "audio": (InvalidAudio, "audio must be a base64 string"),
    "sample_rate": (InvalidSampleRate, "sample_rate must be an integer from 8000 to 48000"),
    "encoding": (InvalidMessage, f"encoding must be one of {', '.join(ENCODINGS)}"),
    "utterance_id": (InvalidMessage, "utterance_id must be a string of 1 to 128 characters"),
    "final": (InvalidMessage, "final must be true or false"),
}

_Message = TypeVar("_Message", AgentSpeak, AudioFormat)


def _validate(model: type[_Message], message: dict[str, Any]) -> _Message:
    try:
        return model.model_validate(message)
    except ValidationError as error:
        member = str(error.errors(include_url=False, include_context=False, include_input=False)[0]["loc"][0])
        error_type, text = _ERRORS[member]
        raise error_type(text) from None
