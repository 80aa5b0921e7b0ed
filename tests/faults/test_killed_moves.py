"""A stage dies, and its server is killed while the session moves to the next stage: what was not heard is said, and
what the client was not told is told.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from tests.faults.killed_mover import POINTS, SERVER_ID
from tests.faults.scale import some
from tests.fleet.test_stage_fleet import PARTS
from tests.processes import PYTHON_PATH
from visavis.fleet.admission import Limits
from visavis.fleet.identity import ServerIdentity
from visavis.fleet.local import LocalStages
from visavis.fleet.stages import StageFleet
from visavis.stage.port.events import PlaybackFinished
from visavis.stage.port.notes import KeptNote

pytestmark = pytest.mark.anyio
WITHIN_S = 60.0


@pytest.mark.parametrize("point", some(POINTS[-1:] + POINTS[:-1], 1))
async def test_a_server_that_is_killed_while_a_session_moves_loses_no_speech_and_no_end(
    tmp_path: Path, point: str
) -> None:
    async with asyncio.timeout(WITHIN_S):
        mover = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.faults.killed_mover",
            str(tmp_path),
            point,
            env=os.environ | {"PYTHONPATH": PYTHON_PATH},
        )
        assert await mover.wait() == -signal.SIGKILL
        identity = ServerIdentity(server_id=SERVER_ID, epoch=2)
        supply = LocalStages(data_dir=tmp_path, identity=identity, max_stages=1, parts=PARTS)
        fleet = StageFleet(supply, limits=Limits(measured=False))
        try:
            (adopted,) = await fleet.adopt()
            assert (adopted.held.memo, adopted.held.notes) == (b"memo", (KeptNote(number=1, note=b"note"),))
            ends: list[PlaybackFinished] = []
            events = adopted.performer.events()
            while len(ends) < 3:
                event = await anext(events)
                if isinstance(event, PlaybackFinished):
                    ends.append(event)
            assert ends == [
                PlaybackFinished(utterance_id="untold", position_s=0.1, interrupted=False),
                PlaybackFinished(utterance_id="long", position_s=0.9, interrupted=False),
                PlaybackFinished(utterance_id="next", position_s=0.3, interrupted=False),
            ]
        finally:
            await fleet.aclose()
