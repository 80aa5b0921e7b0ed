"""A server in a process of its own, for tests that stop it: a fleet with one stage and one session.

    python -m tests.faults.fleet_server DATA_DIR SILENT_S

prints the stage's process id. Then it answers lines: `speak` speaks 0.2 s and prints how much was played; `pid` prints
the process id of the stage that there is now. It ends with its standard input.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from tests.fleet.test_stage_fleet import PARTS, allocate, process_of, speech, wait_for
from visavis.fleet.admission import Limits
from visavis.fleet.local import LocalStages
from visavis.fleet.stages import StageFleet
from visavis.logs import configure_logs
from visavis.stage.port.events import PlaybackFinished


async def main(data_dir: Path, silent_s: float) -> None:
    supply = LocalStages(data_dir=data_dir, max_stages=1, parts=PARTS, silent_s=silent_s)
    fleet = StageFleet(supply, limits=Limits(measured=False))
    await fleet.start()
    performer = await allocate(fleet, data_dir)
    print(process_of(fleet).pid, flush=True)
    while line := (await asyncio.to_thread(sys.stdin.readline)).strip():
        if line == "pid":
            print(process_of(fleet).pid, flush=True)
            continue
        await performer.speak(speech(3200, utterance_id="u", final=True))
        finished = await wait_for(performer, PlaybackFinished)
        assert isinstance(finished, PlaybackFinished)
        print(f"played {finished.position_s}", flush=True)
    await fleet.aclose()


if __name__ == "__main__":
    configure_logs(level="info")
    asyncio.run(main(Path(sys.argv[1]), float(sys.argv[2])))
