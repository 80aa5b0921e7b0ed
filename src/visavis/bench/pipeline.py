"""`visavis bench pipeline`: how many frames a second one core makes, from incoming speech to encoded video and sound.

A session is performed as fast as possible instead of by the clock. The default portrait speaks the library's sample at
512x512, with the performance, renderer and encoders of a stage; then at 1280x720; then it is silent. Each is done
several times: the median counts, and the least and the most are printed. Packets and
encryption for viewers are not part of the measurement. All times are processor time. Frames a second are measured
without a clock inside, because reading a clock takes up to 20 us; the steps are measured in another pass.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from visavis.bench.figures import Repeated
from visavis.engine.audio.files import read_speech
from visavis.engine.pack.avatar_pack import AvatarPack
from visavis.engine.pack.prepare import prepare_avatar
from visavis.engine.render.cpu import CpuRenderer
from visavis.engine.speech.stream import SpeechStream
from visavis.library import DEFAULT_PORTRAIT, SAMPLE
from visavis.stage.encoder import AudioEncoder, VideoEncoder
from visavis.stage.performance import Performance
from visavis.stage.port.values import Speech
from visavis.stage.timeline import PLAYOUT_RATE_HZ, frame_position

SIZES = ((512, 512), (1280, 720))
FPS = 25
ROUNDS = 3  # how often the sample is spoken where the steps are measured
IDLE_S = 8.0
# A frame takes up to a third longer while other programs fill the caches, and that changes from second to second. So
# many short runs are made, and their median counts.
RUNS = 7
STEPS = ("speech to motion", "face", "render", "VP8", "Opus")


class _Spent:
    """The processor time of every step, less the time for reading the clock."""

    def __init__(self, *, timed: bool) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._timed = timed
        began = time.perf_counter()
        for _ in range(200):
            time.process_time()
        self._reading_s = (time.perf_counter() - began) / 200

    @contextmanager
    def on(self, step: str) -> Iterator[None]:
        if not self._timed:
            yield
            return
        began = time.process_time()
        yield
        self.seconds[step] += max(0.0, time.process_time() - began - self._reading_s)


def perform(
    pack: AvatarPack,
    pcm: NDArray[np.int16],
    rate_hz: int,
    size: tuple[int, int] = SIZES[0],
    *,
    idle_s: float = 0.0,
    timed: bool = False,
) -> dict[str, float]:
    """Perform speech, int16 (n,), then `idle_s` of silence.

    Return `frames`, `seconds` of processor time, `video_bits_per_s`, and the milliseconds a frame of each step (0
    unless `timed`).
    """
    renderer = CpuRenderer(pack, *size)
    video, audio = VideoEncoder(width_px=size[0], height_px=size[1], fps=FPS), AudioEncoder()
    performance = Performance(seed=7, open_speech=SpeechStream)
    if len(pcm):
        performance.speak(Speech(pcm=pcm.tobytes(), sample_rate_hz=rate_hz, number=1, final=True))
    spent = _Spent(timed=timed)
    frames = video_bytes = 0
    end = round((len(pcm) / rate_hz + idle_s) * PLAYOUT_RATE_HZ)
    began = time.process_time()
    while performance.queued_samples or performance.position < end:
        position = performance.position
        with spent.on("speech to motion"):
            block = performance.next_block()
        with spent.on("Opus"):
            audio.encode(block, position)
        while (instant := frame_position(frames, FPS)) < performance.position:
            with spent.on("face"):
                face = performance.face(instant)
            with spent.on("render"):
                picture = renderer.render(face.motion)
            with spent.on("VP8"):
                packet = video.encode(picture, instant)
            video_bytes += len(packet.data) if packet else 0
            frames += 1
    seconds = time.process_time() - began
    media_s = performance.position / PLAYOUT_RATE_HZ
    steps = {step: spent.seconds[step] / frames * 1000 for step in STEPS}
    return {"frames": frames, "seconds": seconds, "video_bits_per_s": video_bytes * 8 / media_s, **steps}


def _fps(
    pack: AvatarPack, pcm: NDArray[np.int16], rate_hz: int, size: tuple[int, int], idle_s: float = 0.0
) -> Repeated:
    runs = [perform(pack, pcm, rate_hz, size, idle_s=idle_s) for _ in range(RUNS)]
    return Repeated.of([one["frames"] / one["seconds"] for one in runs], digits=1)


def speaking_fps(pack: Path) -> Repeated:
    """Return the frames a second of 512x512 that one core makes, of the pack in a folder."""
    cv2.setNumThreads(1)
    sound, rate_hz = read_speech(SAMPLE)
    loaded = AvatarPack.load(pack)
    perform(loaded, sound[: 2 * rate_hz], rate_hz)  # warm
    return _fps(loaded, sound, rate_hz, SIZES[0])


def run(as_json: bool) -> None:
    """Measure and print."""
    cv2.setNumThreads(1)
    sound, rate_hz = read_speech(SAMPLE)
    with tempfile.TemporaryDirectory(prefix="visavis-") as folder:
        prepare_avatar(DEFAULT_PORTRAIT.path.read_bytes(), Path(folder) / "pack")
        pack = AvatarPack.load(Path(folder) / "pack")
        perform(pack, sound[: 2 * rate_hz], rate_hz)  # warm
        figures = perform(pack, np.tile(sound, ROUNDS), rate_hz, timed=True)
        speaking = {f"{width}x{height}": _fps(pack, sound, rate_hz, (width, height)) for width, height in SIZES}
        idle = _fps(pack, sound[:0], rate_hz, SIZES[0], IDLE_S)
    first = next(iter(speaking))
    ratio = round(sum(figures[step] for step in STEPS) / (figures["VP8"] + figures["Opus"]), 2)
    record = {
        "benchmark": "pipeline",
        "size": first,
        "frames": figures["frames"],
        "pipeline_fps_per_core": speaking[first].median,
        "pipeline_fps_spread": speaking[first].spread,
        "frame_ms": round(1000 / speaking[first].median, 3),
        **{f"{step.lower().replace(' ', '_')}_ms": round(figures[step], 3) for step in STEPS},
        "cost_ratio": ratio,
        "video_kbps": round(figures["video_bits_per_s"] / 1000),
        "sizes": {size: fps.median for size, fps in speaking.items()},
        "idle_fps_per_core": idle.median,
        "cores": os.cpu_count(),
    }
    if as_json:
        print(json.dumps(record))
        return
    table = Table()
    table.add_column("step")
    table.add_column("ms a frame", justify="right")
    for step in STEPS:
        table.add_row(step, f"{figures[step]:.2f}")
    table.add_row("all", f"{record['frame_ms']:.2f}")
    console = Console()
    console.print(f"{record['frames']} frames of {record['size']}, from speech to encoded video and sound, on one core")
    console.print(table)
    for size, fps in speaking.items():
        console.print(f"{size}: {fps.text('.0f')} frames a second per core")
    console.print(f"{first} in silence: {idle.text('.0f')}; video at {record['video_kbps']} kbit/s")
    console.print(f"{first} takes {ratio:.2f} times what encoding alone takes (VP8 and Opus)")
