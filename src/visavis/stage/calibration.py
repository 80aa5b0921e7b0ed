"""Measures what a frame costs on this machine: an avatar speaks for a moment, unseen and as fast as it can, in two
sizes. Takes about a second of processor time, once for a machine: `remember` keeps the result in a file.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import time
from contextlib import suppress
from pathlib import Path
from statistics import median

import numpy as np

from visavis import __version__
from visavis.engine.audio.files import read_speech
from visavis.engine.output import DEFAULT_OUTPUT
from visavis.library import SAMPLE
from visavis.stage.costs import Measurement
from visavis.stage.encoder import AudioEncoder
from visavis.stage.pace import FrameClock
from visavis.stage.parts import Avatar, Parts
from visavis.stage.performance import Performance
from visavis.stage.port.report import FrameCosts
from visavis.stage.port.values import Speech
from visavis.stage.video import VideoPipeline, VideoSpec

SIZES_PX = ((512, 512), (1280, 720))
FPS = 25
WARM_FRAMES, ROUNDS, ROUND_FRAMES = 10, 5, 5
FILE = "machines.json"
MAX_MACHINES = 32  # in one file: a data folder may be used by several machines in turn
_YARDSTICK_ROUNDS = 3


def measure(avatar: Avatar, parts: Parts) -> Measurement:
    """Measure. Call it in a thread. Both sizes and the yardstick take turns, and the median round counts: what disturbs
    a part of it, other programs or a clock that changes, says nothing.
    """
    runs = [_Run(avatar, parts, width_px, height_px) for width_px, height_px in SIZES_PX]
    for run in runs:
        run.draw(WARM_FRAMES)
    yardsticks_ms, rounds = [yardstick_ms()], []
    for _ in range(ROUNDS):
        frames_ms = [run.draw(ROUND_FRAMES) for run in runs]
        yardsticks_ms.append(yardstick_ms())
        beside_ms = (yardsticks_ms[-2] + yardsticks_ms[-1]) / 2
        rounds.append([frame_ms / beside_ms for frame_ms in frames_ms])
    own_ms = median(yardsticks_ms)
    small, large = (median(yardsticks) * own_ms for yardsticks in zip(*rounds, strict=True))
    small_mpx, large_mpx = (width_px * height_px / 1e6 for width_px, height_px in SIZES_PX)
    per_mpx_ms = max(0.0, (large - small) / (large_mpx - small_mpx))
    costs = FrameCosts(fixed_ms=max(0.01, small - per_mpx_ms * small_mpx), per_mpx_ms=per_mpx_ms)
    return Measurement(costs=costs, yardstick_ms=own_ms)


class _Run:
    """An avatar that speaks in one size, frame by frame."""

    def __init__(self, avatar: Avatar, parts: Parts, width_px: int, height_px: int) -> None:
        spec = VideoSpec(width_px=width_px, height_px=height_px, fps=FPS, output=DEFAULT_OUTPUT)
        self._video, self._audio, self._frames = VideoPipeline.build(avatar, spec), AudioEncoder(), FrameClock(FPS)
        self._performance = Performance(seed=1, open_speech=parts.open_speech)
        pcm, rate_hz = read_speech(SAMPLE)
        pcm = pcm[: rate_hz * (WARM_FRAMES + ROUNDS * ROUND_FRAMES + 1) // FPS]
        self._performance.speak(Speech(pcm=pcm.tobytes(), sample_rate_hz=rate_hz, number=1, final=True))

    def draw(self, frames: int) -> float:
        """Return the processor time of each of so many frames, in ms."""
        began_s, drawn = time.thread_time(), 0
        while drawn < frames:
            position = self._performance.position
            self._audio.encode(self._performance.next_block(), position)
            while self._frames.next_at < self._performance.position:
                at = self._frames.take()
                self._video.encoder.encode(self._video.renderer.render(self._performance.face(at).motion), at)
                drawn += 1
        return (time.thread_time() - began_s) * 1000 / frames


def yardstick_ms() -> float:
    """Return the processor time of a fixed piece of work, about half a millisecond, at its fastest of a few times. It
    tells whether the processor has become slower since the measurement.
    """
    return min(_work_ms() for _ in range(_YARDSTICK_ROUNDS))


def _work_ms() -> float:
    began_s = time.thread_time()
    total = 0
    for number in range(4000):
        total += number * number & 1023
    matrix = np.full((48, 48), 0.5, np.float32)
    for _ in range(8):
        matrix = np.tanh(matrix @ matrix)
    return max(1e-3, (time.thread_time() - began_s) * 1000)


def remembered(folder: Path) -> Measurement | None:
    """Return what was measured on this machine before, None if nothing was."""
    try:
        found = json.loads((folder / FILE).read_text(encoding="utf-8"))[_machine_name()]
        costs = FrameCosts(fixed_ms=float(found["fixed_ms"]), per_mpx_ms=float(found["per_mpx_ms"]))
        measurement = Measurement(costs=costs, yardstick_ms=float(found["yardstick_ms"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    figures = (costs.fixed_ms, measurement.yardstick_ms)
    return measurement if all(0 < figure < 1e4 for figure in figures) and 0 <= costs.per_mpx_ms < 1e4 else None


def remember(folder: Path, measurement: Measurement) -> None:
    """Keep a measurement of this machine. If it cannot be written, the next start measures again."""
    path = folder / FILE
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        known = {}
    if not isinstance(known, dict):
        known = {}
    known.pop(_machine_name(), None)
    known = dict(list(known.items())[-MAX_MACHINES + 1 :])
    known[_machine_name()] = {
        "fixed_ms": round(measurement.costs.fixed_ms, 4),
        "per_mpx_ms": round(measurement.costs.per_mpx_ms, 4),
        "yardstick_ms": round(measurement.yardstick_ms, 4),
    }
    partial = path.with_suffix(f".{os.getpid()}")
    with suppress(OSError):
        partial.write_text(json.dumps(known, indent=1), encoding="utf-8")
        partial.replace(path)


def _machine_name() -> str:
    """Return a name that changes with what the costs depend on: the processor, and this program."""
    model = platform.processor() or platform.machine()
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith(("model name", "flags", "Features")):
                model += line
            elif not line.strip():  # the other processors are alike
                break
    return hashlib.sha256(f"{model} {platform.python_version()} {__version__}".encode()).hexdigest()[:16]
