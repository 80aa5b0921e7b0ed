"""What all messages of a client share: a JSON object with strictly typed members and bounded texts.

Parsing never guesses: `true` is not a number, `"16000"` is not a sample rate, and base64 allows no other
characters than white space. Unknown members of a message are ignored, so that a newer client can talk to this server.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictStr

from visavis.errors import InvalidJson, MessageTooLarge
from visavis.json_text import MESSAGE_BOUNDS, JsonRefused, read_json

MAX_AUDIO_BYTES = 10 * 1024 * 1024  # per message, decoded: 327 s at 16 kHz
MAX_TEXT_CHARS = MAX_AUDIO_BYTES // 3 * 4 + 65_536  # the same audio in base64, and the other members of its message
MAX_MEMBER_CHARS = 4096  # of a text member


def parse_object(text: str) -> dict[str, Any]:
    """Parse a text frame. Raises `InvalidJson` for anything but a JSON object within bounds."""
    try:
        parsed = read_json(text, MESSAGE_BOUNDS)
    except JsonRefused as refused:
        raise InvalidJson(f"Message {refused}") from None
    if not isinstance(parsed, dict):
        raise InvalidJson("Message must be a JSON object")
    return parsed


def require_encodable(text: str) -> str:
    """Return the text. Raises ValueError for lone surrogates (JSON's \\ud800) and NUL, which the database, the log and
    the connection to a stage cannot hold.
    """
    if "\0" in text:
        raise ValueError("contains NUL")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("is not Unicode text") from None
    return text


def message_too_large() -> MessageTooLarge:
    return MessageTooLarge("Message too large; at most 10 MB of audio")


Text = Annotated[StrictStr, Field(max_length=MAX_MEMBER_CHARS), AfterValidator(require_encodable)]


class ClientMessage(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")
