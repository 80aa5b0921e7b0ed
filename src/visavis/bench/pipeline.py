"""`visavis bench pipeline`: how many frames a second one core makes, from speech as it comes in to encoded video and sound.

A session is performed as fast as it goes instead of by the clock: the default portrait says the library's sample at 512x512, with the same
performance, renderer and encoders as on stage. What WebRTC adds for each viewer (packets, encryption) is not in it. Processor time is what counts.
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
import soundfile
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from visavis.engine.portrait.prepare import prepare_avatar
from visavis.engine.render.cpu import CpuRenderer
from visavis.engine.render.pack import AvatarPack
from visavis.engine.speech.stream import SpeechStream
from visavis.library import DEFAULT_PORTRAIT, SAMPLE
from visavis.stage.encoder import AudioEncoder, VideoEncoder
from visavis.stage.performance import Performance
from visavis.stage.timeline import PLAYOUT_RATE_HZ, frame_position

WIDTH_PX = HEIGHT_PX = 512
FPS = 25
ROUNDS = 3  # the sample is said this often
STEPS = ("speech to motion", "face", "render", "VP8", "Opus")


class _Spent:
    """Processor time by step."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    @contextmanager
    def on(self, step: str) -> Iterator[None]:
        began = time.process_time()
        yield
        self.seconds[step] += time.process_time() - began


def perform(pack: AvatarPack, pcm: NDArray[np.int16], rate_hz: int) -> dict[str, float]:
    """Perform int16 (n,) of speech; return `frames`, `seconds` of processor time, `video_bits_per_s`, and the milliseconds a frame of each step."""
    renderer = CpuRenderer(pack, WIDTH_PX, HEIGHT_PX)
    video, audio = VideoEncoder(width_px=WIDTH_PX, height_px=HEIGHT_PX, fps=FPS), AudioEncoder()
    performance = Performance(seed=7, open_speech=SpeechStream)
    performance.speak(pcm, rate_hz, final=True)
    spent = _Spent()
    frames = video_bytes = 0
    began = time.process_time()
    while performance.queued_samples or not frames:
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


def run(as_json: bool) -> None:
    """Measure and print."""
    cv2.setNumThreads(1)
    sound, rate_hz = soundfile.read(SAMPLE, dtype="int16", always_2d=True)
    pcm = np.ascontiguousarray(np.tile(sound[:, 0], ROUNDS))
    with tempfile.TemporaryDirectory(prefix="visavis-") as folder:
        prepare_avatar(DEFAULT_PORTRAIT.path.read_bytes(), Path(folder) / "pack")
        pack = AvatarPack.load(Path(folder) / "pack")
        perform(pack, pcm[: 2 * rate_hz], rate_hz)  # warm
        figures = perform(pack, pcm, rate_hz)
    record = {
        "benchmark": "pipeline",
        "size": f"{WIDTH_PX}x{HEIGHT_PX}",
        "frames": figures["frames"],
        "pipeline_fps_per_core": round(figures["frames"] / figures["seconds"], 1),
        "frame_ms": round(figures["seconds"] / figures["frames"] * 1000, 3),
        **{f"{step.lower().replace(' ', '_')}_ms": round(figures[step], 3) for step in STEPS},
        "video_kbps": round(figures["video_bits_per_s"] / 1000),
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
    console.print(f"{record['pipeline_fps_per_core']:.0f} frames a second per core, video at {record['video_kbps']} kbit/s")
