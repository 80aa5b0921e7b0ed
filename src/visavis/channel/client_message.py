"""What all of a client's messages have in common: a JSON object, whose texts can be kept, and whose members are taken
strictly.

Parsing never guesses: `true` is no number, `"16000"` is no rate, base64 has its padding and nothing else. Members that
a message does not know are ignored, so that a client newer than this server still speaks.
"""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictStr

from visavis.errors import InvalidJson, MessageTooLarge

MAX_AUDIO_BYTES = 10 * 1024 * 1024  # of one message, decoded: 327 s at 16 kHz
MAX_TEXT_CHARS = MAX_AUDIO_BYTES // 3 * 4 + 65_536  # the same in base64, and the rest of its message
MAX_MEMBER_CHARS = 4096  # of a text among a message's members


def parse_object(text: str) -> dict[str, Any]:
    """Read a text frame. Raises `InvalidJson` for anything but a JSON object."""
    try:
        parsed = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise InvalidJson("Message is not valid JSON") from None
    if not isinstance(parsed, dict):
        raise InvalidJson("Message must be a JSON object")
    return parsed


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")  # json.loads takes NaN and Infinity, RFC 8259 does not


def encodable(text: str) -> str:
    """Refuse what no store, log or pipe could carry on: lone surrogates (JSON's \\ud800) and NUL."""
    if "\0" in text:
        raise ValueError("contains NUL")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("is not Unicode text") from None
    return text


def too_large() -> MessageTooLarge:
    return MessageTooLarge("Message too large; at most 10 MB of audio")


Text = Annotated[StrictStr, Field(max_length=MAX_MEMBER_CHARS), AfterValidator(encodable)]


class ClientMessage(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")
