"""A connection goes on as soon as a pair is nominated, and may be closed before."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from contextlib import AsyncExitStack

import anyio
import pytest
from aioice import Candidate, Connection
from aiortc import RTCPeerConnection

from visavis.rooms.webrtc import ice_settings
from visavis.rooms.webrtc.private import checks


@pytest.fixture
def hourly_checks() -> Iterator[None]:
    """Look for further checks once an hour."""
    ice_settings.apply_ice_settings()
    checks.wait_for_checks(pace_s=3600)
    yield
    checks.wait_for_checks(pace_s=ice_settings.CHECK_PACE_S)


@pytest.mark.usefixtures("hourly_checks")
def test_a_nomination_ends_the_wait_for_further_checks() -> None:
    """The viewer sends no candidate, and may send some later: the stage learns its address from its checks."""

    async def connect() -> None:
        stage, viewer = Connection(ice_controlling=False), Connection(ice_controlling=True)
        try:
            await stage.gather_candidates()
            await viewer.gather_candidates()
            stage.remote_username, stage.remote_password = viewer.local_username, viewer.local_password
            viewer.remote_username, viewer.remote_password = stage.local_username, stage.local_password
            candidate: Candidate = stage.local_candidates[0]
            await viewer.add_remote_candidate(candidate)
            await viewer.add_remote_candidate(None)
            with anyio.fail_after(20):
                await asyncio.gather(stage.connect(), viewer.connect())
        finally:
            await stage.close()
            await viewer.close()

    asyncio.run(connect())


def test_a_connection_that_is_closed_before_its_checks_raises_nothing() -> None:
    """A viewer that left at once put a traceback into the log, of a task that nobody waits for."""
    ice_settings.apply_ice_settings()
    told: list[object] = []

    async def close_early() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
        async with AsyncExitStack() as stack:
            viewer, stage = RTCPeerConnection(), RTCPeerConnection()
            stack.push_async_callback(viewer.close)
            stack.push_async_callback(stage.close)
            viewer.addTransceiver("video", direction="recvonly")
            await viewer.setLocalDescription(await viewer.createOffer())
            await stage.setRemoteDescription(viewer.localDescription)
            await stage.setLocalDescription(await stage.createAnswer())
            await stage.getTransceivers()[0].receiver.transport.transport.stop()  # before the task of the checks runs
            await asyncio.sleep(0.1)
        gc.collect()  # a task tells of its exception when it is collected

    asyncio.run(close_early())
    assert told == []
