"""What an agent may call in the room, and who may not."""

from __future__ import annotations

import pytest
from livekit.protocol import models

from tests.rooms.media import RecordedEvents
from visavis.rooms.livekit.agent_calls import MAX_WAITING, AgentCalls
from visavis.rooms.livekit.agents import People
from visavis.rooms.port import RoomAnswer


class Room:
    """Calls of the participants `agent` and others. `sent`: the answers, without the acknowledgements."""

    def __init__(self) -> None:
        self.events = RecordedEvents()
        self.people = People(own="avatar", agent="agent")
        self.sent: list[models.RpcResponse] = []
        self.acknowledged: list[str] = []
        self.clears = 0
        self.calls = AgentCalls(self.people, self.events, send=self._send, clear=self._clear)

    def call(self, method: str, payload: str = "", *, sender: str = "agent", call_id: str = "call") -> None:
        self.calls.take(sender, models.RpcRequest(id=call_id, method=method, payload=payload, version=1))

    def _send(self, raw: bytes) -> bool:
        packet = models.DataPacket.FromString(raw)
        if packet.HasField("rpc_ack"):
            self.acknowledged.append(packet.rpc_ack.request_id)
        else:
            self.sent.append(packet.rpc_response)
        return True

    def _clear(self) -> None:
        self.clears += 1


@pytest.fixture
def room() -> Room:
    return Room()


def test_the_agent_clears_pauses_resumes_and_sets_the_state(room: Room) -> None:
    room.call("lk.clear_buffer")
    room.call("visavis.pause")
    assert (room.clears, room.events.pauses) == (1, 1)
    room.call("visavis.resume")
    room.call("visavis.state", '{"state": "thinking"}')
    room.call("visavis.state", '{"state": "listening"}')
    assert room.events.pauses == 0 and room.events.states == ["thinking", "listening"]
    assert [answer.payload for answer in room.sent] == ["ok"] * 5
    assert room.acknowledged == ["call"] * 5


@pytest.mark.parametrize("method", ["lk.clear_buffer", "visavis.pause", "visavis.state", "visavis.output"])
def test_strangers_are_refused(room: Room, method: str) -> None:
    room.call(method, '{"state": "thinking"}', sender="stranger")
    (answer,) = room.sent
    assert answer.error.code == 1500 and "agent" in answer.error.message
    assert room.clears == room.events.pauses == 0 and room.events.states == [] and room.events.calls == []


@pytest.mark.parametrize("payload", ["", "[]", "{}", '{"state": "speaking"}', "[" * 5000, '{"state": ["thinking"]}'])
def test_an_unknown_state_is_refused(room: Room, payload: str) -> None:
    room.call("visavis.state", payload)
    assert (room.sent[0].error.code, room.sent[0].error.data) == (1500, "INVALID_STATE")
    assert room.events.states == []


@pytest.mark.parametrize("method", ["visavis.other", "lk.other", "", "visavis."])
def test_unknown_methods_are_told_apart(room: Room, method: str) -> None:
    room.call(method)
    assert room.sent[0].error.code == 1400


def test_the_service_answers_output_once(room: Room) -> None:
    room.call("visavis.output", '{"emotion": "happy"}', call_id="a")
    room.call("visavis.output", '{"emotion": "cross"}', call_id="b")
    assert [(call.call_id, call.payload) for call in room.events.calls] == [
        ("a", '{"emotion": "happy"}'),
        ("b", '{"emotion": "cross"}'),
    ]
    assert room.sent == []
    room.calls.answer(RoomAnswer(call_id="b", code="INVALID_EMOTION", problem="emotion must be one of"))
    room.calls.answer(RoomAnswer(call_id="a", payload="{}"))
    room.calls.answer(RoomAnswer(call_id="a", payload="again"))
    refused, answered = room.sent
    assert (refused.request_id, refused.error.data) == ("b", "INVALID_EMOTION")
    assert (answered.request_id, answered.payload) == ("a", "{}")


def test_calls_that_wait_are_bounded(room: Room) -> None:
    for number in range(MAX_WAITING + 1):
        room.call("visavis.output", "{}", call_id=str(number))
    assert len(room.events.calls) == MAX_WAITING
    assert [answer.error.code for answer in room.sent] == [1500]
