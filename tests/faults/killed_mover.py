"""A server in a process of its own that is killed while its session moves to another stage.

    python -m tests.faults.killed_mover DATA_DIR POINT

It performs one session, of which one utterance has ended and nobody was told so. It kills its stage when the next one
plays, and itself at the POINT.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

from tests.fleet.test_stage_fleet import PARTS, allocate, process_of, speech, wait_for
from visavis.fleet.admission import Limits
from visavis.fleet.calls import Calls
from visavis.fleet.identity import ServerIdentity
from visavis.fleet.link import StageLink
from visavis.fleet.local import LocalStages
from visavis.fleet.moves import Moves
from visavis.fleet.performer import StagePerformer
from visavis.fleet.stages import StageFleet
from visavis.stage.port.events import PerformanceMoved, PlaybackFinished, PlaybackStarted
from visavis.stage.port.messages import Remember
from visavis.stage.port.notes import KeptNote

SERVER_ID = "the server"
POINTS = ("Open is sent", "Open is answered", "GoOn is sent", "the memo is told", "the session goes on")


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_at(point: str) -> None:
    """Kill this process when a session that moves has come to a point."""
    request_open, use, tell = Moves._request_open, Calls.use, StageLink.tell

    async def open_and_die(moves: Moves, performer: StagePerformer, stage: Any) -> None:
        opening = asyncio.create_task(request_open(moves, performer, stage))
        while performer._next_link is None or stage.link._link._outbox.unsent_bytes:  # noqa: ASYNC110 (nobody tells)
            await asyncio.sleep(0)
        await stage.link.flush()
        die()
        await opening

    def die_instead(*_: Any, **__: Any) -> None:
        die()

    def use_and_die(calls: Calls, *arguments: Any) -> None:
        use(calls, *arguments)
        die()

    def tell_and_die(link: StageLink, message: Any) -> None:
        tell(link, message)
        if isinstance(message, Remember):
            die()

    match point:
        case "Open is sent":
            Moves._request_open = open_and_die  # type: ignore[assignment, method-assign]
        case "Open is answered":
            StagePerformer.go_on = die_instead  # type: ignore[method-assign]
        case "GoOn is sent":
            Calls.use = use_and_die  # type: ignore[assignment, method-assign]
        case "the memo is told":
            StageLink.tell = tell_and_die  # type: ignore[assignment, method-assign]
        case "the session goes on":
            pass  # `main` does it


async def main(data_dir: Path, point: str) -> None:
    identity = ServerIdentity(server_id=SERVER_ID, epoch=1)
    supply = LocalStages(data_dir=data_dir, identity=identity, max_stages=1, parts=PARTS, grace_s=60.0)
    fleet = StageFleet(supply, limits=Limits(measured=False))
    await fleet.start()
    performer = await allocate(fleet, data_dir, "sess_1")
    performer.remember(b"memo")
    await performer.take_note(KeptNote(number=1, note=b"note"), forget_through=0)
    await performer.speak(speech(1600, utterance_id="untold", final=True))
    await wait_for(performer, PlaybackFinished)
    for _ in range(3):
        await performer.speak(speech(4800, number=2, utterance_id="long"))  # 0.3 s each
    await performer.speak(speech(4800, number=3, utterance_id="next", final=True))
    await wait_for(performer, PlaybackStarted)
    die_at(point)
    process_of(fleet).kill()
    await wait_for(performer, PerformanceMoved)
    assert performer.link is not None
    await performer.link.settle()
    die()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
