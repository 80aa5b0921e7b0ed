from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.rooms.livekit.doubles import AGENT, Connection, Events, Room
from visavis.rooms.livekit.room import _Opening
from visavis.rooms.spec import LiveKitRoomSpec


@pytest.fixture
async def events() -> Events:
    return Events()


@pytest.fixture
async def connected(events: Events) -> AsyncIterator[tuple[Room, list[Connection]]]:
    """A room whose second connection finds nobody there."""
    connections = [Connection(others=[AGENT]), Connection(others=[])]
    spec = LiveKitRoomSpec(url="ws://127.0.0.1:9", token="token")
    opened = Room(spec, events, _Opening(size_px=(64, 64), wall_clock_at_start_ns=0, ice_servers=()))
    opened.connections = list(connections)
    for connection in connections:
        connection.acknowledges = opened.data_arrived
    first = await opened._join()
    opened._tasks = [asyncio.create_task(opened._stay(first))]
    yield opened, connections
    await opened.aclose()
