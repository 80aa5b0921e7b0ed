"""`visavis bench viewers`: what the viewers of one session cost, and how many one core carries.

A real stage process performs one session that speaks. Real WebRTC viewers (ICE, DTLS, reports) in processes of their
own receive its packets over loopback, and count pictures and sound without decrypting or decoding them (viewers.py).
Each step has more viewers than the one before. All figures of cost are processor time of the stage: they hold on a busy
machine, too, as long as the viewers get all pictures.
"""

from __future__ import annotations

import asyncio
import json
import math
import tempfile
import time
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from visavis.bench import pipeline
from visavis.bench.density import prepared
from visavis.bench.processes import cpu_s
from visavis.bench.viewer_process import ViewerProcess
from visavis.engine.audio.files import read_speech
from visavis.engine.pack_ref import PackRef
from visavis.fleet.admission import Limits
from visavis.fleet.local import LocalStages
from visavis.fleet.performer import StagePerformer
from visavis.fleet.stages import StageFleet
from visavis.library import SAMPLE
from visavis.machine.cores import cores
from visavis.stage.port.values import PerformanceSpec, Speech

WIDTH_PX = HEIGHT_PX = 512
FPS = 25
REFERENCE_FPS = 250  # of `visavis bench pipeline`, on the machine for which targets are meant
SETTLE_S, MEASURE_S = 4.0, 10.0
VIEWERS_OF_A_PROCESS = 100
JOINING_AT_ONCE, CONNECT_WITHIN_S, ASK_EVERY_S = 8, 30.0, 0.1
TRIES = 3  # of a step in which the stage had to slow down, because other programs had the cores
WHOLE = 0.96  # of the frame rate: less is slowed down


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """The figures with so many viewers. `stage_cores`, `viewer_cores`: processor time, as a share of one core.
    `joining_ms`: processor time of the stage for each viewer that joined in this step.
    """

    viewers: int
    fps_least: float
    fps_mean: float
    sound_least: float  # blocks a second; 50 is all of it
    sound_missing: int
    stage_cores: float
    viewer_cores: float
    joining_ms: float

    @property
    def whole(self) -> bool:
        """Whether all viewers got all pictures. If not, other programs had the cores, and the costs are too low."""
        return self.fps_least > WHOLE * FPS


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What is concluded of all steps: the cores of a session with one viewer, and of each further viewer."""

    session_cores: float
    viewer_cores: float

    @property
    def viewers_per_core(self) -> int:
        """How many viewers of one session a core carries, with the session itself."""
        return 1 + max(0, math.floor((1 - self.session_cores) / self.viewer_cores))


def conclude(steps: list[Step]) -> Costs:
    """Return the costs by the first and the last of at least two steps. The first one has one viewer."""
    first, last = steps[0], steps[-1]
    return Costs(
        session_cores=first.stage_cores,
        viewer_cores=max(1e-6, (last.stage_cores - first.stage_cores) / (last.viewers - first.viewers)),
    )


def counts_up_to(most: int) -> list[int]:
    """Return the numbers of viewers of the steps: 1, then about twice as many in each, up to `most`."""
    counts = [most]
    while counts[-1] > 50:
        counts.append(counts[-1] // 2)
    return [1, *reversed(counts)] if most > 1 else [1]


class _Audience:
    """The processes of the viewers."""

    def __init__(self, performer: StagePerformer) -> None:
        self._performer = performer
        self._processes: list[ViewerProcess] = []
        self._viewers = 0

    @property
    def pids(self) -> list[int]:
        return [process.pid for process in self._processes]

    async def grow(self, viewers: int) -> None:
        """Let viewers join until there are so many."""
        while self._viewers < viewers:
            process, number = divmod(self._viewers, VIEWERS_OF_A_PROCESS)
            if process == len(self._processes):
                self._processes.append(await ViewerProcess.start())
            await self._processes[process].join(number, partial(self._offer, self._viewers))
            self._viewers += 1
            if self._viewers % JOINING_AT_ONCE == 0 or self._viewers == viewers:
                await self._connected()

    async def _connected(self) -> None:
        """Wait until all have connected: a room keeps few places for viewers that have not. Raises TimeoutError."""
        for _ in range(round(CONNECT_WITHIN_S / ASK_EVERY_S)):
            if len((await self.count())["pictures"]) == self._viewers:
                return
            await asyncio.sleep(ASK_EVERY_S)
        raise TimeoutError("viewers have not connected")

    async def _offer(self, number: int, sdp: str) -> str:
        return await self._performer.offer(viewer_id=f"viewer-{number}", sdp=sdp)

    async def count(self) -> dict[str, list[int]]:
        """Return what each viewer has received since the last call."""
        counted = await asyncio.gather(*(process.count() for process in self._processes))
        return {name: [value for one in counted for value in one[name]] for name in counted[0]}

    async def aclose(self) -> None:
        await asyncio.gather(*(process.aclose() for process in self._processes))


async def measure(
    data_dir: Path, pack: PackRef, counts: list[int], *, settle_s: float = SETTLE_S, measure_s: float = MEASURE_S
) -> list[Step]:
    """Measure one session with each number of viewers."""
    pcm, rate_hz = read_speech(SAMPLE)
    seconds = sum(TRIES * (settle_s + measure_s) + 0.1 * count for count in counts) + 60
    said = np.resize(pcm, int(seconds * rate_hz))
    supply = LocalStages(data_dir=data_dir, max_stages=1)
    fleet = StageFleet(supply, limits=Limits(measured=False))
    await fleet.start()
    audience = None
    try:
        spec = PerformanceSpec(session_id="viewers", pack=pack, width_px=WIDTH_PX, height_px=HEIGHT_PX, fps=FPS, seed=7)
        performer = await fleet.allocate(spec)
        audience = _Audience(performer)
        async with asyncio.TaskGroup() as tasks:
            speaking = tasks.create_task(_speak(performer, said.tobytes(), rate_hz))
            steps = [await _measured(supply, audience, count, settle_s, measure_s) for count in counts]
            speaking.cancel()
        return steps
    finally:
        if audience is not None:
            await audience.aclose()
        await fleet.aclose()


async def _speak(performer: StagePerformer, pcm: bytes, rate_hz: int) -> None:
    """Speak at the pace of speech: two seconds in every two seconds."""
    piece = 2 * rate_hz * 2
    for number, at in enumerate(range(0, len(pcm), piece)):
        await performer.speak(
            Speech(pcm=pcm[at : at + piece], sample_rate_hz=rate_hz, number=number + 1, utterance_id="all")
        )
        await asyncio.sleep(2.0 if number else 0.5)


async def _measured(supply: LocalStages, audience: _Audience, count: int, settle_s: float, measure_s: float) -> Step:
    before = len((await audience.count())["pictures"]) if audience.pids else 0
    began_s, before_s = time.monotonic(), cpu_s(supply.pids)
    await audience.grow(count)
    joined_s, joining_s = time.monotonic() - began_s, cpu_s(supply.pids) - before_s
    for _ in range(TRIES):
        await asyncio.sleep(settle_s)
        await audience.count()
        began_s, stage_s, viewers_s = time.monotonic(), cpu_s(supply.pids), cpu_s(audience.pids)
        await asyncio.sleep(measure_s)
        stage_s, viewers_s = cpu_s(supply.pids) - stage_s, cpu_s(audience.pids) - viewers_s
        passed_s = time.monotonic() - began_s
        counted = await audience.count()
        rates = [pictures / passed_s for pictures in counted["pictures"]]
        assert len(rates) == count, "viewers are counted from their connection on"
        if min(rates) > WHOLE * FPS:
            break
    stage_cores = stage_s / passed_s
    # What the media cost meanwhile is not part of joining: on average what half of the new viewers will cost.
    media_s = joined_s * stage_cores * (before + count) / 2 / count
    return Step(
        viewers=count,
        fps_least=round(min(rates), 1),
        fps_mean=round(sum(rates) / count, 1),
        sound_least=round(min(counted["sound"]) / passed_s, 1),
        sound_missing=sum(counted["sound_missing"]),
        stage_cores=round(stage_cores, 4),
        viewer_cores=round(viewers_s / passed_s, 2),
        joining_ms=round(max(0.0, joining_s - media_s) * 1000 / (count - before), 1),
    )


def run(as_json: bool, *, most: int) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="visavis-") as folder:
        pack = asyncio.run(prepared(Path(folder)))
        steps = asyncio.run(measure(Path(folder), pack, counts_up_to(most)))
        pipeline_fps = pipeline.speaking_fps(pack.folder_in(Path(folder) / "avatars"))
    costs = conclude(steps)
    last = steps[-1]
    record = {
        "benchmark": "viewers",
        "size": f"{WIDTH_PX}x{HEIGHT_PX}",
        "fps": FPS,
        "viewers_per_core": costs.viewers_per_core,
        "viewers_per_core_in_proportion": round(costs.viewers_per_core * REFERENCE_FPS / pipeline_fps.median),
        "fps_at_viewers": last.fps_mean,
        "whole": all(step.whole for step in steps),
        "session_cores": round(costs.session_cores, 4),
        "viewer_cores": round(costs.viewer_cores, 6),
        "pipeline_fps_per_core": pipeline_fps.median,
        "pipeline_fps_spread": pipeline_fps.spread,
        "cores": round(cores(), 2),
        "steps": [asdict(step) for step in steps],
    }
    if as_json:
        print(json.dumps(record))
        return
    table = Table()
    for heading in (
        "viewers",
        "fps, least",
        "fps, mean",
        "sound, least",
        "sound missing",
        "stage, cores",
        "viewers, cores",
        "joining, ms",
    ):
        table.add_column(heading, justify="right")
    for step in steps:
        table.add_row(*(str(value) for value in asdict(step).values()))
    console = Console()
    console.print(f"Viewers of one session of {record['size']} at {FPS} frames a second that speaks all the time")
    console.print(table)
    console.print(
        f"{costs.viewers_per_core} viewers on one core with their session: it takes {costs.session_cores:.3f} of a "
        f"core with one viewer, and each further viewer takes {costs.viewer_cores * 1000:.2f} ms a second"
    )
    if not record["whole"]:
        console.print("Other programs had the cores: the viewers did not get all pictures, and the costs are too low")
    console.print(
        f"This machine makes {pipeline_fps.text('.0f')} frames a second on one core (visavis bench pipeline); "
        f"in proportion to {REFERENCE_FPS}: {record['viewers_per_core_in_proportion']} viewers"
    )
