"""How a client has the session be otherwise, speech apart: its attitude (`agent.state`) and its looks
(`session.update`).
"""

from __future__ import annotations

from typing import Any

from visavis.channel.errors import ChannelError
from visavis.channel.steps import Attend, Update
from visavis.engine.output import read_output
from visavis.errors import InvalidRequest


def read_state(message: dict[str, Any]) -> Attend:
    """Read an `agent.state` of a client. Raises `ChannelError`."""
    match message.get("state"):
        case "listening":
            return Attend(state="listening")
        case "thinking":
            return Attend(state="thinking")
    raise ChannelError("state must be listening or thinking", "INVALID_STATE")


def read_update(message: dict[str, Any]) -> Update:
    """Read a `session.update`. Raises `ChannelError` with the codes of `read_output`."""
    try:
        return Update(change=read_output(message.get("output")))
    except InvalidRequest as refused:
        hint = f". {refused.suggestion}" if refused.suggestion else ""
        raise ChannelError(refused.message + hint, refused.code) from None
