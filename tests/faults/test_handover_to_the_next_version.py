"""A server of this version takes over from one of the version before (tests/version_before.py) on its data folder: the
stages of that one go on, and no word is lost.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.faults.restarts import Client, Session, place
from tests.faults.test_interruptions import sound
from tests.version_before import python_path
from visavis.errors import CloseCode
from visavis.stage.port.messages import OLDEST_PORT_VERSION

pytestmark = pytest.mark.anyio
PIECES = 20  # of 0.1 s


async def test_the_next_version_takes_over_in_the_middle_of_speech(tmp_path: Path) -> None:
    with place(tmp_path, PYTHONPATH=python_path()) as here:
        (here.folder / "visavis.db").unlink()  # it has the schema of this version
        here.start()
        await here.ready()
        before = here.server
        session = await Session.start(here)
        client = Client(session, resume=True)
        async with session.viewer() as viewer:
            await client.open()
            for piece in range(PIECES):
                final = piece == PIECES - 1
                await client.send(type="agent.speak", audio=sound(0.1), utterance_id="said", final=final)
                if piece == PIECES // 2:
                    await client.until("agent.playback.started", utterance_id="said")
                    del here.environment["PYTHONPATH"]
                    here.start("--take-over")
                    await client.until_closed()
                    assert await asyncio.to_thread(before.wait, 30) == 0, here.log
            finished = await client.until("agent.playback.finished", utterance_id="said")
            assert (finished["position_s"], finished["interrupted"]) == (PIECES / 10, False)
            await here.ready()
            _, blocks = viewer.peer.read()
            assert blocks.missing == 0
        assert (client.closes, client.resumed) == ([CloseCode.SERVER_CHANGES], [False, True])
        assert f'"port_version": {OLDEST_PORT_VERSION}' in next((here.folder / "stages").glob("*.json")).read_text()
        await session.end()
        assert here.row(session.session_id)["end_reason"] == "ended_by_client"
        assert len(here.stages) == 1, "the stage of the version before"
        await here.stop()
        await here.until_stages_end()
