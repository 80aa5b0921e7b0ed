"""Reads a text frame as far as that needs nothing of the channel's state: a large one can be read in a thread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from visavis.channel.client_message import MAX_TEXT_CHARS, message_too_large, parse_object
from visavis.channel.speech import ReadSpeech, read_speak
from visavis.errors import VisavisError

LARGE_CHARS = 64 * 1024  # a larger frame is not read on the event loop


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadFrame:
    """A message, or the error that it is refused with. `speech`: that of an `agent.speak`."""

    message: dict[str, Any]
    speech: ReadSpeech | None = None
    error: VisavisError | None = None


def read_frame(text: str, *, number: int) -> ReadFrame:
    """Read a text frame. `number`: its place among the client's frames."""
    try:
        if len(text) > MAX_TEXT_CHARS:
            raise message_too_large()
        message = parse_object(text)
        is_speech = message.get("type") == "agent.speak"
        return ReadFrame(message=message, speech=read_speak(message, number=number) if is_speech else None)
    except VisavisError as error:
        return ReadFrame(message={}, error=error)
