"""`visavis bench viewers`: what the viewers of one session cost, and how many one core carries.

A real stage process performs one session that speaks. Real WebRTC viewers (ICE, DTLS, reports) in processes of their
own receive its packets over loopback, and count pictures and sound without decrypting or decoding them (viewers.py).
Each step has more viewers than the one before. The last one has as many as were asked for, or as the room took. All
figures of cost are processor time of the stage: they hold on a busy machine, too, as long as the viewers get all
pictures.
"""

from __future__ import annotations

import asyncio
import json
import math
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from rich.console import Console
from rich.table import Table

from visavis import signals
from visavis.bench import pipeline
from visavis.bench.density import prepared
from visavis.bench.processes import cpu_s
from visavis.bench.viewer_process import ViewerProcess
from visavis.engine.audio.files import read_speech
from visavis.engine.pack_ref import PackRef
from visavis.errors import RoomFull
from visavis.fleet.admission import Limits
from visavis.fleet.local import LocalStages
from visavis.fleet.performer import StagePerformer
from visavis.fleet.stages import StageFleet
from visavis.library import SAMPLE
from visavis.machine.cores import cores
from visavis.stage.port.values import PerformanceSpec, Speech

WIDTH_PX = HEIGHT_PX = 512
FPS = 25
WANTED_VIEWERS = 400  # of one session, of a stage within one core, all with all pictures ...
REFERENCE_FPS = 250  # ... where `visavis bench pipeline` prints so many frames a second; in proportion elsewhere
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
    """Return the costs by the first step, which has one viewer, and the last one in which all got all pictures."""
    first = steps[0]
    last = next((step for step in reversed(steps[1:]) if step.whole), steps[-1])
    return Costs(
        session_cores=first.stage_cores,
        viewer_cores=max(1e-6, (last.stage_cores - first.stage_cores) / max(1, last.viewers - first.viewers)),
    )


def wanted_viewers(pipeline_fps: float) -> int:
    """Return how many viewers this machine shall carry, by the frames a second that `visavis bench pipeline` prints."""
    return max(2, math.ceil(WANTED_VIEWERS * pipeline_fps / REFERENCE_FPS))


def counts_up_to(most: int) -> list[int]:
    """Return the numbers of viewers of the steps: 1, then about twice as many in each, up to `most`."""
    counts = [most]
    while counts[-1] > 50:
        counts.append(counts[-1] // 2)
    return [1, *reversed(counts)] if most > 1 else [1]


def carried(steps: list[Step]) -> int:
    """Return the most viewers that were counted with all pictures, of a stage within one core; 0 if none were."""
    return max((step.viewers for step in steps if step.whole and step.stage_cores <= 1.0), default=0)


# Why no step has more viewers: all that were asked for have joined, the room took no more, or some did not connect.
Ended = Literal["all", "room_full", "not_connected"]
TEXTS: dict[Ended, str] = {
    "all": "All viewers that were asked for have joined",
    "room_full": "The room took no more viewers: its stage could not serve them (admission)",
    "not_connected": f"Some viewers did not connect within {CONNECT_WITHIN_S:.0f} s: other programs had the cores",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    steps: list[Step]
    ended: Ended


class Audience:
    """The processes of the viewers. `offer` lets a viewer join: its number and its SDP offer give the answer."""

    def __init__(self, offer: Callable[[int, str], Awaitable[str]]) -> None:
        self._offer = offer
        self._processes: list[ViewerProcess] = []
        self._viewers = 0

    @property
    def pids(self) -> list[int]:
        return [process.pid for process in self._processes]

    async def grow(self, viewers: int) -> Ended:
        """Let viewers join until there are so many, or the room takes no more."""
        ended: Ended = "all"
        while self._viewers < viewers and ended == "all":
            process, number = divmod(self._viewers, VIEWERS_OF_A_PROCESS)
            if process == len(self._processes):
                self._processes.append(await ViewerProcess.start())
            try:
                await self._processes[process].join(number, partial(self._offer, self._viewers))
            except RoomFull:
                ended = "room_full"
            else:
                self._viewers += 1
            group_is_full = self._viewers % JOINING_AT_ONCE == 0 or self._viewers == viewers
            if (group_is_full or ended != "all") and not await self._connected():
                ended = "not_connected"
        return ended

    async def _connected(self) -> bool:
        """Wait until all have connected, because a room keeps few places for others. Return whether they have."""
        for _ in range(round(CONNECT_WITHIN_S / ASK_EVERY_S)):
            if len((await self.count())["pictures"]) == self._viewers:
                return True
            await asyncio.sleep(ASK_EVERY_S)
        return False

    async def count(self) -> dict[str, list[int]]:
        """Return what each viewer has received since the last call."""
        counted = await asyncio.gather(*(process.count() for process in self._processes))
        return {name: [value for one in counted for value in one[name]] for name in counted[0]}

    async def aclose(self) -> None:
        await asyncio.gather(*(process.aclose() for process in self._processes))


async def measure(
    data_dir: Path, pack: PackRef, counts: list[int], *, settle_s: float = SETTLE_S, measure_s: float = MEASURE_S
) -> Measured:
    """Measure one session with each number of viewers, up to the one that the room takes."""
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
        audience = Audience(lambda number, sdp: performer.offer(viewer_id=f"viewer-{number}", sdp=sdp))
        async with asyncio.TaskGroup() as tasks:
            speaking = tasks.create_task(_speak(performer, said.tobytes(), rate_hz))
            measured = await _measured_steps(supply, audience, counts, settle_s, measure_s)
            speaking.cancel()
        return measured
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


async def _measured_steps(
    supply: LocalStages, audience: Audience, counts: list[int], settle_s: float, measure_s: float
) -> Measured:
    steps: list[Step] = []
    for count in counts:
        before = steps[-1].viewers if steps else 0
        began_s, before_s = time.monotonic(), cpu_s(supply.pids)
        ended = await audience.grow(count)
        joined_s, joining_s = time.monotonic() - began_s, cpu_s(supply.pids) - before_s
        steps.append(await _measured(supply, audience, before, joined_s, joining_s, settle_s, measure_s))
        if ended != "all":
            return Measured(steps=steps, ended=ended)
    return Measured(steps=steps, ended="all")


async def _measured(
    supply: LocalStages,
    audience: Audience,
    before: int,
    joined_s: float,
    joining_s: float,
    settle_s: float,
    measure_s: float,
) -> Step:
    """Measure the viewers that are there. `before`: how many were before those joined in `joined_s`, which took the
    stage `joining_s` of processor time.
    """
    for _ in range(TRIES):
        await asyncio.sleep(settle_s)
        await audience.count()
        began_s, stage_s, viewers_s = time.monotonic(), cpu_s(supply.pids), cpu_s(audience.pids)
        await asyncio.sleep(measure_s)
        stage_s, viewers_s = cpu_s(supply.pids) - stage_s, cpu_s(audience.pids) - viewers_s
        passed_s = time.monotonic() - began_s
        counted = await audience.count()
        rates = [pictures / passed_s for pictures in counted["pictures"]]
        if min(rates) > WHOLE * FPS:
            break
    stage_cores, count = stage_s / passed_s, len(rates)
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
        joining_ms=round(max(0.0, joining_s - media_s) * 1000 / max(1, count - before), 1),
    )


def run(as_json: bool, *, most: int | None) -> None:
    """Measure and print. `most`: the viewers of the last step; if None, as many as this machine shall carry."""
    with tempfile.TemporaryDirectory(prefix="visavis-") as folder:
        pack = signals.run(prepared(Path(folder)))
        pipeline_fps = pipeline.speaking_fps(pack.folder_in(Path(folder) / "avatars"))
        wanted = wanted_viewers(pipeline_fps.median)
        measured = signals.run(measure(Path(folder), pack, counts_up_to(most or wanted)))
    steps = measured.steps
    costs = conclude(steps)
    last = steps[-1]
    record = {
        "benchmark": "viewers",
        "size": f"{WIDTH_PX}x{HEIGHT_PX}",
        "fps": FPS,
        "viewers_per_core": costs.viewers_per_core,
        "viewers_per_core_in_proportion": round(costs.viewers_per_core * REFERENCE_FPS / pipeline_fps.median),
        "viewers_counted": carried(steps),
        "viewers_wanted": wanted,
        "ended": measured.ended,
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
    console.print(TEXTS[measured.ended])
    console.print(
        f"{record['viewers_counted']} viewers were counted with all pictures, of a stage that took less than a core; "
        f"this machine shall carry {wanted}"
    )
    console.print(
        f"By the costs: {costs.viewers_per_core} viewers on one core with their session. It takes "
        f"{costs.session_cores:.3f} of a core with one viewer, and each further viewer takes "
        f"{costs.viewer_cores * 1000:.2f} ms a second"
    )
    if not record["whole"]:
        console.print("Other programs had the cores: the viewers did not get all pictures, and the costs are too low")
    console.print(
        f"This machine makes {pipeline_fps.text('.0f')} frames a second on one core (visavis bench pipeline); "
        f"in proportion to {REFERENCE_FPS}: {record['viewers_per_core_in_proportion']} viewers"
    )
