"""Changes that a client makes to a session: its state (`agent.state`) and its output (`session.update`)."""

from __future__ import annotations

from typing import Any

from visavis.channel.actions import SetState, Update
from visavis.errors import InvalidRequest, InvalidState
from visavis.output_json import read_output


def read_state(message: dict[str, Any]) -> SetState:
    """Read an `agent.state`. Raises `InvalidState`."""
    match message.get("state"):
        case "listening":
            return SetState(state="listening")
        case "thinking":
            return SetState(state="thinking")
    raise InvalidState("state must be listening or thinking")


def read_update(message: dict[str, Any]) -> Update:
    """Read a `session.update`. Raises what `read_output` raises, with the suggestion appended to the message."""
    try:
        return Update(change=read_output(message.get("output")))
    except InvalidRequest as error:
        hint = f". {error.suggestion}" if error.suggestion else ""
        raise type(error)(error.message + hint) from None
