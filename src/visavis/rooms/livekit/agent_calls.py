"""What the agent may call in the room (RPC): clearing and pausing speech, the avatar's state, and its output."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable

from livekit.protocol import models

from visavis.engine.motion.states import SettableState
from visavis.rooms.livekit import packets
from visavis.rooms.livekit.agents import People
from visavis.rooms.port import RoomAnswer, RoomCall, RoomEvents

MAX_WAITING = 16  # calls that the service has not answered


class AgentCalls:
    """Answers the calls of the avatar's agent, and refuses those of others. `send` sends a packet. `clear`: called when
    the agent drops all that it has sent.
    """

    def __init__(
        self, people: People, events: RoomEvents, *, send: Callable[[bytes], bool], clear: Callable[[], None]
    ) -> None:
        self._people, self._events, self._send, self._clear = people, events, send, clear
        self._waiting: OrderedDict[str, str] = OrderedDict()  # who waits for an answer of the service, by call

    def take(self, sender: str, call: models.RpcRequest) -> None:
        """A participant calls."""
        self._send(packets.acknowledge(sender, call.id))
        if not call.method.startswith("visavis.") and call.method != "lk.clear_buffer":
            self._refuse(sender, call.id, "Method not supported", code=packets.UNSUPPORTED_METHOD)
        elif not self._people.may_speak(sender):
            self._refuse(sender, call.id, "Only the avatar's agent may call this")
        else:
            self._carry_out(sender, call)

    def answer(self, answer: RoomAnswer) -> None:
        """The service has carried out a call."""
        caller = self._waiting.pop(answer.call_id, None)
        if caller is None:
            return
        if answer.problem:
            self._refuse(caller, answer.call_id, answer.problem, data=answer.code)
        else:
            self._send(packets.response(caller, answer.call_id, answer.payload))

    def _carry_out(self, sender: str, call: models.RpcRequest) -> None:
        match call.method:
            case "lk.clear_buffer":
                self._clear()
            case "visavis.pause":
                self._events.paused()
            case "visavis.resume":
                self._events.resumed()
            case "visavis.state":
                state = _state(call.payload)
                if state is None:
                    self._refuse(sender, call.id, "state must be listening or thinking", data="INVALID_STATE")
                    return
                self._events.state_wanted(state)
            case "visavis.output":
                if len(self._waiting) >= MAX_WAITING:
                    self._refuse(sender, call.id, f"{MAX_WAITING} calls wait already")
                    return
                self._waiting[call.id] = sender
                self._events.call_arrived(RoomCall(call_id=call.id, method=call.method, payload=call.payload))
                return
            case _:
                self._refuse(sender, call.id, "Method not supported", code=packets.UNSUPPORTED_METHOD)
                return
        self._send(packets.response(sender, call.id, "ok"))

    def _refuse(
        self, to: str, call_id: str, why: str, *, code: int = packets.APPLICATION_ERROR, data: str = ""
    ) -> None:
        self._send(packets.refusal(to, call_id, code, why, data=data))


def _state(payload: str) -> SettableState | None:
    """Read {"state": "thinking"}."""
    try:
        state = json.loads(payload)["state"]
    except (ValueError, RecursionError, KeyError, TypeError, IndexError):
        return None
    if state == "listening":
        return "listening"
    return "thinking" if state == "thinking" else None
