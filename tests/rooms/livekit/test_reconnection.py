"""What a room keeps when its connection is lost: its figures, its agent, and the ends of segments."""

from __future__ import annotations

import asyncio

import pytest
from livekit.protocol import models

from tests.rooms.livekit.doubles import AGENT, Connection, Events, Room
from visavis.rooms.livekit import room

pytestmark = pytest.mark.anyio


async def lose(opened: Room, connection: Connection) -> None:
    connection.lost.set()
    while opened.connections:  # noqa: ASYNC110  # some steps of the event loop
        await asyncio.sleep(0)


async def test_figures_never_fall(connected: tuple[Room, list[Connection]]) -> None:
    opened, (first, _) = connected
    assert opened.figures().packets_sent == 10
    await lose(opened, first)
    assert opened.figures().packets_sent == 20


async def test_the_ends_of_segments_wait_for_an_agent_that_comes_back(
    connected: tuple[Room, list[Connection]], events: Events
) -> None:
    opened, (first, second) = connected
    header = models.DataStream.Header(stream_id="s", topic="lk.audio_stream", attributes={"sample_rate": "24000"})
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


async def test_an_agent_that_does_not_come_back_ends_the_session(
    connected: tuple[Room, list[Connection]], events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "AGENT_BACK_WITHIN_S", 0.0)
    opened, (first, _) = connected
    await lose(opened, first)
    assert (await events.ended)[0] == "agent_left"
