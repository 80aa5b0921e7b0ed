"""Reads the text of a client: `agent.say`."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Field, StrictBool, StrictStr, ValidationError

from visavis.channel.client_message import ClientMessage, require_encodable
from visavis.channel.speech import UtteranceId
from visavis.errors import InvalidMessage, InvalidText
from visavis.voice.port import TextPiece
from visavis.voice.sentences import check_breaks

MAX_CHARS = 16_384  # of one message


class AgentSay(ClientMessage):
    text: Annotated[StrictStr, Field(max_length=MAX_CHARS), AfterValidator(require_encodable)]
    voice: Annotated[StrictStr, Field(min_length=1, max_length=128), AfterValidator(require_encodable)] | None = None
    utterance_id: UtteranceId | None = None
    final: StrictBool | None = None
    language: Annotated[StrictStr, Field(pattern=r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*$")] | None = None


_ERRORS: dict[str, tuple[type[InvalidMessage], str]] = {  # by member
    "text": (InvalidText, f"text must be a string of at most {MAX_CHARS} characters"),
    "voice": (InvalidMessage, "voice must be a string of 1 to 128 characters"),
    "utterance_id": (InvalidMessage, "utterance_id must be a string of 1 to 128 characters"),
    "final": (InvalidMessage, "final must be true or false"),
    "language": (InvalidMessage, 'language must be a tag such as "de" or "en-GB"'),
}


def read_say(message: dict[str, Any], *, number: int) -> TextPiece:
    """Read an `agent.say`. Without `utterance_id` it is an utterance of its own; with one, more may follow until
    `final`. Raises `InvalidMessage`.
    """
    try:
        say = AgentSay.model_validate(message)
    except ValidationError as error:
        member = str(error.errors(include_url=False, include_context=False, include_input=False)[0]["loc"][0])
        error_type, text = _ERRORS[member]
        raise error_type(text) from None
    if say.utterance_id is None and say.final is False:
        raise InvalidMessage("Text with final false needs an utterance_id")
    try:
        check_breaks(say.text)
    except ValueError as error:
        raise InvalidText(f"<break> {error}") from None
    return TextPiece(
        text=say.text,
        number=number,
        utterance_id=say.utterance_id,
        final=say.utterance_id is None if say.final is None else say.final,
        voice=say.voice,
        language=say.language,
    )
