"""What a room keeps when its connection is lost: its figures, its agent, and the ends of segments."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from livekit.protocol import models

from tests.rooms.livekit.doubles import AGENT, Connection, Events, Room
from visavis.rooms.livekit import room

pytestmark = pytest.mark.anyio

MONO = {"sample_rate": "24000", "num_channels": "1"}


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110  # some steps of the event loop
            await asyncio.sleep(0)


async def lose(opened: Room, connection: Connection) -> None:
    connection.lost.set()
    await until(lambda: not opened.connections)


async def test_figures_never_fall(connected: tuple[Room, list[Connection]]) -> None:
    opened, (first, _) = connected
    assert opened.figures().packets_sent == 10
    await lose(opened, first)
    assert opened.figures().packets_sent == 20


async def test_the_ends_of_segments_wait_for_an_agent_that_comes_back(
    connected: tuple[Room, list[Connection]], events: Events
) -> None:
    opened, (first, second) = connected
    header = models.DataStream.Header(stream_id="s", topic="lk.audio_stream", attributes=MONO)
    chunk = models.DataStream.Chunk(stream_id="s", content=bytes(9_600))
    for packet in (
        models.DataPacket(participant_identity="agent", stream_header=header),
        models.DataPacket(participant_identity="agent", stream_chunk=chunk),
    ):
        opened.data_arrived(packet.SerializeToString())
    await lose(opened, first)
    segment = events.speech[-1].segment_id
    assert events.speech[-1].final
    opened.speech_finished(segment, position_s=1.5, interrupted=False)
    await asyncio.sleep(0)
    assert second.ends() == []
    opened.people_changed([AGENT])
    await asyncio.sleep(0)
    assert second.ends() == [(1.5, False)] and not events.ended.done()


async def test_an_end_that_was_lost_with_the_connection_is_told_over_the_next_one_and_no_other(
    connected: tuple[Room, list[Connection]],
) -> None:
    opened, (first, second) = connected
    second.others.append(AGENT)
    for stream in ("s1", "s2"):
        header = models.DataStream.Header(stream_id=stream, topic="lk.audio_stream", attributes=MONO)
        packet = models.DataPacket(participant_identity="agent", stream_header=header)
        opened.data_arrived(packet.SerializeToString())
    await until(lambda: bool(first.ends()) and all(one.arrived.is_set() for one in opened._calls._calls.values()))
    assert first.ends() == [(0.0, False)], "a stream without a sample, which another one has followed"
    first.acknowledges = None  # the network is gone
    opened._tell_end("agent", position_s=0.4, interrupted=True)
    await until(lambda: first.ends()[-1] == (0.4, True))
    await lose(opened, first)
    await until(lambda: bool(second.ends()))
    assert second.ends() == [(0.4, True)]


async def test_an_agent_that_does_not_come_back_ends_the_session(
    connected: tuple[Room, list[Connection]], events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "AGENT_BACK_WITHIN_S", 0.0)
    opened, (first, _) = connected
    await lose(opened, first)
    assert (await events.ended)[0] == "agent_left"
