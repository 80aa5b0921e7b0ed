"""Every segment that an agent has opened ends once: `lk.playback_finished`, whatever becomes of its stream."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from livekit.protocol import models

from tests.rooms.livekit.doubles import AGENT, Connection, Events, Room
from visavis.rooms.livekit import room
from visavis.rooms.port import LostSegment

pytestmark = pytest.mark.anyio

MONO = {"sample_rate": "24000", "num_channels": "1"}
PCM = bytes(9_600)


class Agent:
    """Sends what an agent sends."""

    def __init__(self, opened: Room) -> None:
        self._opened = opened

    def header(self, stream: str, **attributes: str) -> None:
        self._send(
            stream_header=models.DataStream.Header(stream_id=stream, topic="lk.audio_stream", attributes=attributes)
        )

    def chunk(self, stream: str, pcm: bytes = PCM, index: int = 0) -> None:
        self._send(stream_chunk=models.DataStream.Chunk(stream_id=stream, chunk_index=index, content=pcm))

    def trailer(self, stream: str) -> None:
        self._send(stream_trailer=models.DataStream.Trailer(stream_id=stream))

    def clear(self) -> None:
        self._send(rpc_request=models.RpcRequest(id="call", method="lk.clear_buffer", version=1))

    def _send(self, **value: Any) -> None:
        packet = models.DataPacket(participant_identity="agent", **value)
        self._opened.data_arrived(packet.SerializeToString())


@pytest.fixture
async def agent(connected: tuple[Room, list[Connection]]) -> Agent:
    return Agent(connected[0])


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110  # some steps of the event loop
            await asyncio.sleep(0)


async def told(connection: Connection, count: int = 1) -> list[tuple[float, bool]]:
    """Wait until so many ends were told, and a little longer for one too many."""
    await until(lambda: len(connection.ends()) >= count)
    for _ in range(10):
        await asyncio.sleep(0)
    return connection.ends()


@pytest.mark.parametrize(
    ("attributes", "why"),
    [
        ({"sample_rate": "96000", "num_channels": "1"}, "sample_rate must be 8000 to 48000"),
        ({"sample_rate": "fast"}, "sample_rate must be 8000 to 48000"),
        ({}, "sample_rate must be 8000 to 48000"),
        ({"sample_rate": "24000", "num_channels": "6"}, "num_channels must be 1 to 2"),
        ({"sample_rate": "24000", "num_channels": ""}, "num_channels must be 1 to 2"),
    ],
)
async def test_a_stream_that_is_refused_ends_once_and_its_agent_is_told_why(
    connected: tuple[Room, list[Connection]], agent: Agent, events: Events, attributes: dict[str, str], why: str
) -> None:
    _, (first, _) = connected
    agent.header("odd", **attributes)
    agent.chunk("odd")
    agent.clear()
    agent.trailer("odd")
    assert await told(first) == [(0.0, True)]
    assert first.states() == [{"state": "error", "reason": why}]
    assert events.speech == [] and events.open == {}
    agent.header("next", **MONO)
    agent.chunk("next")
    assert len(events.speech) == 1


async def test_speech_for_which_there_is_no_room_ends_its_segment_once(
    connected: tuple[Room, list[Connection]], agent: Agent, events: Events
) -> None:
    _, (first, _) = connected
    events.full = True
    agent.header("s", **MONO)
    for index in range(5):
        agent.chunk("s", index=index)
    assert await told(first) == [(0.0, True)]
    assert first.states() == [{"state": "error", "reason": "QUEUE_FULL"}]
    events.full = False
    agent.chunk("s", index=5)
    agent.trailer("s")
    agent.clear()
    assert await told(first) == [(0.0, True)] and events.speech == []


async def test_a_segment_of_which_a_part_was_taken_ends_when_that_was_played(
    connected: tuple[Room, list[Connection]], agent: Agent, events: Events
) -> None:
    opened, (first, _) = connected
    agent.header("s", **MONO)
    agent.chunk("s")
    events.full = True
    for index in range(1, 5):
        agent.chunk("s", index=index)
    assert first.states() == [{"state": "error", "reason": "QUEUE_FULL"}] and first.ends() == []
    events.full = False
    agent.trailer("s")
    (segment,) = events.open
    assert events.speech[-1].final
    opened.speech_finished(segment, position_s=0.2, interrupted=False)
    assert await told(first) == [(0.2, False)] and events.open == {}


async def test_a_stream_that_is_open_when_the_session_ends_ends_with_it(
    connected: tuple[Room, list[Connection]], agent: Agent, events: Events
) -> None:
    opened, (first, _) = connected
    agent.header("s1", **MONO)
    agent.chunk("s1")
    (segment,) = events.open
    agent.header("s2", **MONO)
    opened.speech_finished(segment, position_s=0.1, interrupted=True)  # as the session does at its end
    await opened.aclose()
    assert first.ends() == [(0.1, True), (0.0, True)]


async def test_a_stream_whose_end_was_lost_with_the_connection_ends(
    connected: tuple[Room, list[Connection]], agent: Agent, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "STREAM_GOES_ON_WITHIN_S", 0.0)
    opened, (first, second) = connected
    second.others.append(AGENT)
    agent.header("s", **MONO)
    agent.chunk("s")
    first.lost.set()
    await until(lambda: events.speech[-1].final)
    (segment,) = events.open
    opened.speech_finished(segment, position_s=0.2, interrupted=False)
    assert await told(second) == [(0.2, False)]
    agent.chunk("s", index=7)
    agent.trailer("s")
    assert await told(second) == [(0.2, False)]


async def test_a_stream_that_goes_on_after_the_connection_was_lost_is_one_segment(
    connected: tuple[Room, list[Connection]], agent: Agent, events: Events
) -> None:
    opened, (first, second) = connected
    second.others.append(AGENT)
    agent.header("s", **MONO)
    agent.chunk("s")
    first.lost.set()
    await until(lambda: opened._awaited_streams is not None)
    agent.chunk("s", index=7)
    opened._close_doubtful()
    assert [speech.final for speech in events.speech] == [False, False] and len(events.open) == 1
    agent.trailer("s")
    assert events.speech[-1].final


async def test_segments_that_are_lost_with_their_stage_are_ended_by_the_next_one(
    connected: tuple[Room, list[Connection]],
) -> None:
    opened, (first, _) = connected
    opened.segments_lost([LostSegment(agent="agent", position_s=0.7), LostSegment(agent="agent", position_s=0.0)])
    assert await told(first, 2) == [(0.7, True), (0.0, True)]
