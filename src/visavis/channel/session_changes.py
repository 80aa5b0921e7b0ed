"""Changes that a client makes to a session: its state (`agent.state`) and its output (`session.update`); and what it
has received (`ack`).
"""

from __future__ import annotations

from typing import Any

from visavis.engine.motion.states import SettableState
from visavis.errors import InvalidMessage, InvalidRequest, InvalidState
from visavis.output_json import OutputChange, read_output


def read_state(message: dict[str, Any]) -> SettableState:
    """Read an `agent.state`. Raises `InvalidState`."""
    match message.get("state"):
        case "listening":
            return "listening"
        case "thinking":
            return "thinking"
    raise InvalidState("state must be listening or thinking")


def read_ack(message: dict[str, Any]) -> int:
    """Read an `ack`; return the number up to which the client has received. Raises `InvalidMessage`."""
    seq = message.get("seq")
    if isinstance(seq, bool) or not isinstance(seq, int) or seq < 0:
        raise InvalidMessage("seq must be an integer of at least 0")
    return seq


def read_update(message: dict[str, Any]) -> OutputChange:
    """Read a `session.update`. Raises what `read_output` raises, with the suggestion appended to the message."""
    try:
        return read_output(message.get("output"))
    except InvalidRequest as error:
        hint = f". {error.suggestion}" if error.suggestion else ""
        raise type(error)(error.message + hint) from None
