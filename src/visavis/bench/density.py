"""`visavis bench density`: how many live sessions this machine performs at once without a late frame, each with a
viewer.

The sessions speak all the time, which is the hardest case, or for a share of the time, in turns, as in conversations
(`talk`).

Real stage processes perform them, as in the service. Real WebRTC viewers in one more process receive the packets over
loopback and count the pictures, without decrypting or decoding them (viewers.py). One session is added at a time, and
every step is measured. A frame is late if the stage leaves it out because the next one is due. HTTP and the channel are
not part of the measurement: speech is sent over the port of the fleet.

Each step also tells what a session costs: the processor time of the stages and of the fleet (this process), divided by
that of encoding the same pictures and sound and nothing else (encoding.py), as it is measured before and after the
step, while the sessions go on. Viewers are not part of it.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from visavis import signals
from visavis.avatars.look_files import LookFiles
from visavis.avatars.preparation import prepare_with_engine
from visavis.bench.cost_windows import LEAST_RATE
from visavis.bench.encoding import EncodingCost, mean
from visavis.bench.processes import cpu_s, pss_mb
from visavis.bench.viewer_process import ViewerProcess
from visavis.bench.yardstick import FPS, SIZE_PX, Yardstick
from visavis.engine.audio.files import read_speech
from visavis.engine.pack_ref import PackRef
from visavis.fleet.admission import Limits
from visavis.fleet.local import LocalStages
from visavis.fleet.performer import StagePerformer
from visavis.fleet.stages import StageFleet
from visavis.library import DEFAULT_PORTRAIT, SAMPLE
from visavis.machine.cores import cores, processes_for
from visavis.stage.port.events import PerformerEnded, PerformerMetrics
from visavis.stage.port.values import PerformanceSpec, Speech

WIDTH_PX, HEIGHT_PX = SIZE_PX
SETTLE_S, MEASURE_S = 4.0, 8.0
QUEUE_S = 3.0  # of speech that a session always has queued
TURN_S = 8  # from one turn of a conversation to the next
MOST_SESSIONS = 200
OVERLOADS = (1.5, 2.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """The figures for `sessions` at once. Processor time is a share of one core; memory is proportional (Pss).
    `encoding`: as measured before and after; None if it was not.
    """

    sessions: int
    late_frames: int
    hurried_frames: int  # a little late, and drawn with less care where hardly anything moves
    fps_least: float
    fps_mean: float
    longest_gap_ms: int
    sound_least: float  # blocks of sound a second; 50 is all of it
    sound_missing: int
    spoken: float  # share of the time
    stage_cores: float
    fleet_cores: float
    viewer_cores: float
    stage_mb: float
    encoding: EncodingCost | None

    @property
    def cost_ratio(self) -> float | None:
        """How many times its encoding a session costs. None where sessions show fewer pictures than `encoding` has,
        or encoding was not measured.
        """
        if self.encoding is None or self.fps_mean <= LEAST_RATE * FPS:
            return None
        cores = (self.stage_cores + self.fleet_cores) / self.sessions
        return self.encoding.ratio(cores, spoken=min(1.0, self.spoken))

    def members(self) -> dict[str, object]:
        """Return the figures for JSON and for the table, in the order of its columns."""
        figures = asdict(self)
        del figures["encoding"]
        return figures | {"cost_ratio": self.cost_ratio}


class _Session:
    """A session that speaks for the share `talk` of the time. Each session begins at another place of the sample."""

    def __init__(
        self, performer: StagePerformer, pcm: NDArray[np.int16], rate_hz: int, *, number: int, talk: float
    ) -> None:
        self.late_frames, self.hurried_frames = 0, 0
        self.spoken_s = 0.0  # since it was last set to 0; changes once a second
        self._queued_s = 0.0
        self._number = 0  # number of the last piece of speech
        self._performer, self._pcm, self._rate_hz = performer, pcm, rate_hz
        self._second, self._talk = 3 * number, talk  # sessions take their turns at different times

    async def run(self) -> None:
        async for event in self._performer.events():
            if isinstance(event, PerformerMetrics):  # once a second
                self.late_frames += event.late_frames
                self.hurried_frames += event.hurried_frames
                self.spoken_s += max(0.0, self._queued_s - event.queued_s)
                self._queued_s = event.queued_s
                await self._keep_supplied(event.queued_s)
            elif isinstance(event, PerformerEnded):
                return

    async def _keep_supplied(self, queued_s: float) -> None:
        turn, second = divmod(self._second, TURN_S)
        self._second += 1
        if self._talk >= 1.0:
            if queued_s < QUEUE_S:
                await self._say(QUEUE_S - queued_s + 1.0, "on and on")
        elif (left_s := TURN_S * self._talk - second) > 0 and queued_s < 1.0:
            await self._say(min(left_s, 1.2 - queued_s), f"turn {turn}")

    async def _say(self, seconds: float, utterance_id: str) -> None:
        self._queued_s += seconds
        count = int(seconds * self._rate_hz)
        said, self._pcm = np.resize(self._pcm, count), np.roll(self._pcm, -count)
        self._number += 1
        await self._performer.speak(
            Speech(pcm=said.tobytes(), sample_rate_hz=self._rate_hz, number=self._number, utterance_id=utterance_id)
        )


async def _offer(performer: StagePerformer, number: int, sdp: str) -> str:
    return await performer.offer(viewer_id=f"viewer-{number}", sdp=sdp)


def is_overloaded(step: Step) -> bool:
    """Whether frames were left out, or the stages have slowed all sessions down."""
    return step.late_frames > 0 or step.fps_least <= LEAST_RATE * FPS


async def measure(
    data_dir: Path,
    pack: PackRef,
    *,
    first: int,
    most: int,
    stages: int,
    talk: float = 1.0,
    settle_s: float = SETTLE_S,
    measure_s: float = MEASURE_S,
    measure_encoding: Callable[[], EncodingCost] | None = None,
) -> list[Step]:
    """Measure `first` sessions, then one more in each step, until a step is overloaded or there are `most`.
    `measure_encoding` is called in a thread; without it steps have no cost ratio.
    """
    pcm, rate_hz = read_speech(SAMPLE)
    supply = LocalStages(data_dir=data_dir, max_stages=stages)
    fleet = StageFleet(supply, limits=Limits(measured=False, sessions_per_stage=MOST_SESSIONS))
    await fleet.start()
    viewers = await ViewerProcess.start()
    sessions: list[_Session] = []
    steps: list[Step] = []
    try:
        async with asyncio.TaskGroup() as tasks:
            running = []
            while len(sessions) < most and not (steps and is_overloaded(steps[-1])):
                for _ in range(first if not sessions else 1):
                    number = len(sessions)
                    spec = PerformanceSpec(
                        session_id=f"density-{number}",
                        pack=pack,
                        width_px=WIDTH_PX,
                        height_px=HEIGHT_PX,
                        fps=FPS,
                        seed=number,
                    )
                    performer = await fleet.allocate(spec)
                    sessions.append(
                        _Session(performer, np.roll(pcm, -number * rate_hz), rate_hz, number=number, talk=talk)
                    )
                    running.append(tasks.create_task(sessions[-1].run()))
                    await viewers.join(number, partial(_offer, performer, number))
                await asyncio.sleep(settle_s)
                steps.append(await _measured(supply, viewers, sessions, measure_s, measure_encoding))
            for task in running:
                task.cancel()
    finally:
        await viewers.aclose()
        await fleet.aclose()
    return steps


async def _measured(
    supply: LocalStages,
    viewers: ViewerProcess,
    sessions: list[_Session],
    measure_s: float,
    measure_encoding: Callable[[], EncodingCost] | None,
) -> Step:
    pids = supply.pids
    before = await asyncio.to_thread(measure_encoding) if measure_encoding else None
    await viewers.count()
    for session in sessions:
        session.late_frames, session.hurried_frames, session.spoken_s = 0, 0, 0.0
    began_s, stage_s, viewer_s, fleet_s = time.monotonic(), cpu_s(pids), cpu_s([viewers.pid]), time.process_time()
    await asyncio.sleep(measure_s)
    counted = await viewers.count()
    passed_s = time.monotonic() - began_s
    rates = [n / passed_s for n in counted["pictures"]] or [0.0]
    step = Step(
        sessions=len(sessions),
        late_frames=sum(session.late_frames for session in sessions),
        hurried_frames=sum(session.hurried_frames for session in sessions),
        fps_least=round(min(rates), 1),
        fps_mean=round(sum(rates) / len(sessions), 1),
        longest_gap_ms=max(counted["gaps_ms"], default=0),
        sound_least=round(min(counted["sound"], default=0) / passed_s, 1),
        sound_missing=sum(counted["sound_missing"]),
        spoken=round(sum(session.spoken_s for session in sessions) / passed_s / len(sessions), 2),
        stage_cores=round((cpu_s(pids) - stage_s) / passed_s, 3),
        fleet_cores=round((time.process_time() - fleet_s) / passed_s, 3),
        viewer_cores=round((cpu_s([viewers.pid]) - viewer_s) / passed_s, 3),
        stage_mb=round(pss_mb(pids), 1),
        encoding=None,
    )
    if measure_encoding is None or before is None:
        return step
    return replace(step, encoding=mean(before, await asyncio.to_thread(measure_encoding)))


async def prepared(data_dir: Path) -> PackRef:
    """Make the pack of the default portrait in a data folder."""
    files, photo = LookFiles(data_dir / "avatars"), DEFAULT_PORTRAIT.path.read_bytes()
    async with files.staging("avat_default") as staged:
        await prepare_with_engine(photo, staged)
        return await files.publish("avat_default", staged, photo=photo)


def run(as_json: bool, *, first: int, most: int, stages: int | None, talk: float, overload: bool = False) -> None:
    """Measure and print. With `overload` also at OVERLOADS times what the machine carries."""
    stages = stages or processes_for(cores())
    with tempfile.TemporaryDirectory(prefix="visavis-") as folder:
        pack = signals.run(prepared(Path(folder)))
        yardstick = Yardstick(pack.folder_in(Path(folder) / "avatars"))
        measured = partial(measure, Path(folder), pack, measure_encoding=yardstick.measure, stages=stages, talk=talk)
        steps = signals.run(measured(first=first, most=most))
        carried = max((step.sessions for step in steps if not is_overloaded(step)), default=0)
        if overload:
            for share in OVERLOADS:
                count = max(1, round(carried * share))
                steps += signals.run(measured(first=count, most=count))
        machine = yardstick.end()
    record = {
        "benchmark": "density",
        "size": f"{WIDTH_PX}x{HEIGHT_PX}",
        "fps": FPS,
        "sessions_without_late_frames": carried,
        **machine.members(),
        "talk": talk,
        "stages": stages,
        "cores": round(cores(), 2),
        "steps": [step.members() for step in steps],
    }
    if as_json:
        print(json.dumps(record))
        return
    table = Table()
    for heading in (
        "sessions",
        "late frames",
        "hurried",
        "fps, least",
        "fps, mean",
        "longest gap, ms",
        "sound, least",
        "sound missing",
        "spoken",
        "stages, cores",
        "fleet, cores",
        "viewers, cores",
        "stages, MB",
        "times its encoding",
    ):
        table.add_column(heading, justify="right")
    for step in steps:
        table.add_row(*("-" if value is None else str(value) for value in step.members().values()))
    console = Console()
    console.print(
        f"Sessions of {record['size']} at {FPS} frames a second, watched, speaking {talk:.0%} of the time, "
        f"{stages} stages on {record['cores']} cores"
    )
    console.print(table)
    console.print(f"{record['sessions_without_late_frames']} sessions without a late frame in {MEASURE_S:.0f} s")
    costs = ", ".join(f"{step.cost_ratio} ({step.sessions})" for step in steps if step.cost_ratio)
    console.print(f"A session costs so many times its encoding (with so many sessions): {costs}")
    console.print(machine.sentence())
