"""`visavis bench soak`: what changes while sessions run for a long time.

One session runs from the beginning to the end and speaks the sample again and again to a viewer that decodes: sound and
lips are compared with what was sent (demo/measure.py), which gives the A/V offset of each time it was spoken. Beside
it, sessions come and go: each speaks all the time, has a viewer that counts, and ends after a while; further viewers
join the long session and leave it.

The figures: the A/V offset, and how fast it drifts; how fast the session's clock drifts from the machine's; memory of
server and stages after a warm-up and at the end, both with the long session alone; lost packets of sound, late frames.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visavis import signals
from visavis.bench.cost_windows import CostWindows, SessionCost
from visavis.bench.figures import print_json, print_rows
from visavis.bench.live import LiveServer, LiveSession, live_session, machine_members, running_server, speaking_sessions
from visavis.bench.load import Load
from visavis.bench.processes import pss_mb, with_descendants
from visavis.bench.slope import Slope, slope_members
from visavis.bench.yardstick import Yardstick
from visavis.demo import measure as content
from visavis.demo.reception import Reception
from visavis.engine.audio.files import read_speech
from visavis.engine.motion.frame import SpeechMotion
from visavis.engine.speech.stream import SpeechStream
from visavis.film import SOUND_RATE_HZ
from visavis.library import SAMPLE
from visavis.rooms.watch import ReceivedPicture, WhepViewer

WARM_S, SETTLE_S = 20.0, 2.0
GUEST_S = 15.0  # how long the sessions and viewers beside the long one stay
WINDOW_S = 40.0  # of the cost, at least
REST_S = 1.5  # before the sample is spoken again
LEAST_LIKENESS = 0.4


@dataclass(slots=True)
class Measured:
    """Each pair of a list: seconds since the beginning, and the value."""

    av_offset_ms: list[tuple[float, float]] = field(default_factory=list)
    clock_behind_ms: list[tuple[float, float]] = field(default_factory=list)
    server_mb: tuple[float, float] = (0.0, 0.0)  # at the start and at the end
    stages_mb: tuple[float, float] = (0.0, 0.0)
    guests: int = 0  # sessions that came and went
    # of the cost's current window:
    guest_s: float = 0.0  # how long they stayed, all together
    spoken_s: float = 0.0  # by the long session
    joins: int = 0  # viewers of the long session that came and went
    sound_missing: int = 0  # packets, of all viewers that count
    late_frames: int = 0  # of the long session
    frames: int = 0
    cost: SessionCost = SessionCost(None)  # noqa: RUF009  frozen


async def measure(server: LiveServer, yardstick: Yardstick, *, minutes: float, guests: int) -> Measured:
    """Measure for `minutes`, with `guests` sessions at a time beside the long one."""
    measured = Measured()
    async with (
        server.client() as http,
        live_session(http, server.look, "playback") as session,
        WhepViewer(whep_url=session.whep_url, token=session.token) as viewer,
    ):
        reception = Reception()
        tasks = [
            asyncio.create_task(reception.take_pictures(viewer)),
            asyncio.create_task(reception.take_sound(viewer)),
        ]
        try:
            await reception.wait_for_picture(512, 512)
            await _guests(server, session, seconds=min(WARM_S, minutes * 60), guests=guests, measured=Measured())
            memory_before = await _memory_mb(server)
            windows = CostWindows(server, session, yardstick)
            await windows.begin()
            began_s, before = time.monotonic(), await session.metrics()
            speaking = asyncio.create_task(_speak(session, reception, measured, began_s))
            await _guests(server, session, seconds=minutes * 60, guests=guests, measured=measured, windows=windows)
            measured.cost = windows.cost()
            speaking.cancel()
            await asyncio.gather(speaking, return_exceptions=True)
            after = await session.metrics()
            measured.late_frames = after["frames"]["late"] - before["frames"]["late"]
            measured.frames = after["frames"]["drawn"] - before["frames"]["drawn"]
            memory_after = await _memory_mb(server)
            measured.server_mb, measured.stages_mb = zip(memory_before, memory_after, strict=True)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    return measured


async def _memory_mb(server: LiveServer) -> tuple[float, float]:
    """Return the memory of the server and of its stages."""
    await asyncio.sleep(SETTLE_S)  # a stage gives memory back after the end of a session
    stages = [pid for pid in with_descendants(server.pid) if pid != server.pid]
    return round(pss_mb([server.pid]), 1), round(pss_mb(stages), 1)


async def _guests(
    server: LiveServer,
    session: LiveSession,
    *,
    seconds: float,
    guests: int,
    measured: Measured,
    windows: CostWindows | None = None,
) -> None:
    """Let sessions come and go for so long, and viewers of the long session. Without `guests` the long one is alone."""
    end_s = time.monotonic() + seconds
    async with server.client() as http:
        while (left_s := end_s - time.monotonic()) > 0:
            async with speaking_sessions(http, server.look, guests) as running:
                came_s = time.monotonic()
                async with WhepViewer(whep_url=session.whep_url, token=session.token):
                    await asyncio.sleep(min(GUEST_S, left_s))
                measured.guest_s += running.count * (time.monotonic() - came_s)
                measured.joins += 1
                measured.sound_missing += sum((await running.viewers.count())["sound_missing"])
                measured.guests += running.count
            if windows is not None and (windows.passed_s >= WINDOW_S or time.monotonic() >= end_s):
                session_s = windows.passed_s + measured.guest_s
                spoken_s, measured.spoken_s, guest_s, measured.guest_s = measured.spoken_s, 0.0, measured.guest_s, 0.0
                await windows.close(session_s=session_s, spoken_s=guest_s + spoken_s)


async def _speak(session: LiveSession, reception: Reception, measured: Measured, began_s: float) -> None:
    """Speak the sample again and again; note the A/V offset and the clock after each time."""
    pcm, rate_hz = read_speech(SAMPLE)
    stream = SpeechStream()
    expected = content.expected_distance(SpeechMotion.concatenate([stream.push(pcm), stream.finish()]))
    number = 0
    while True:
        number += 1
        reception.pictures.clear()
        reception.blocks.clear()
        await asyncio.sleep(REST_S)
        sent_s = time.monotonic()
        await session.channel.speak(pcm.tobytes(), sample_rate_hz=rate_hz, utterance_id=f"sample {number}")
        await session.channel.wait_for(
            "agent.playback.finished", within_s=len(pcm) / rate_hz + 20, utterance_id=f"sample {number}"
        )
        measured.spoken_s += len(pcm) / rate_hz
        await asyncio.sleep(0.5)
        now_s = time.monotonic() - began_s
        measured.clock_behind_ms.append((now_s, (await session.metrics())["sound"]["drift_ms"]))
        offset_s = await asyncio.to_thread(av_offset_s, reception, pcm, expected, sent_s)
        if offset_s is not None:
            measured.av_offset_ms.append((now_s, 1000 * offset_s))


def av_offset_s(
    reception: Reception, pcm: NDArray[np.int16], expected: NDArray[np.float32], sent_s: float
) -> float | None:
    """Return how much later than the sound the lips are; None if either is not found in what was received.

    `pcm`: int16 (n,) at 16 kHz, sent at `sent_s`.
    """
    pictures, sound = reception.pictures_of_size(512, 512), reception.sound()
    before = [number for number, seen in enumerate(pictures) if seen.arrived_s < sent_s]
    if sound is None or len(before) < 10:
        return None
    ratio = SOUND_RATE_HZ // content.SPEECH_RATE_HZ
    positions = np.arange(len(pcm) * ratio) / ratio
    sent = np.interp(positions, np.arange(len(pcm)), pcm / 32_768).astype(np.float32)
    heard = content.sound_lag(sound.samples, sent, SOUND_RATE_HZ)
    grey = np.stack([_grey(seen) for seen in pictures])
    face = content.find_face(grey[len(before) // 2])
    if face is None or heard.likeness < LEAST_LIKENESS:
        return None
    distance = content.mouth_distance(grey, slice(0, len(before)), face)
    voice_s = sound.begins_s + heard.seconds
    times_s = np.array([seen.media_time_s for seen in pictures])
    lips = content.lips_lag(times_s, distance, expected, around_s=voice_s, within_s=0.3)
    return lips.seconds - voice_s if lips.likeness >= LEAST_LIKENESS else None


def _grey(seen: ReceivedPicture) -> NDArray[np.uint8]:
    planes = np.asarray(seen.frame.to_ndarray(format="yuv420p"), np.uint8)
    return planes[: seen.frame.height]


def run(as_json: bool, *, minutes: float, guests: int) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="visavis-") as name:
        with running_server(Path(name), **Load.TWICE.settings) as server:
            yardstick = Yardstick(server.pack)
            measured = signals.run(measure(server, yardstick, minutes=minutes, guests=guests))
        machine = yardstick.end()
    offsets = [value for _, value in measured.av_offset_ms]
    av_drift, clock_drift = Slope.of(measured.av_offset_ms), Slope.of(measured.clock_behind_ms)
    record: dict[str, Any] = {
        "benchmark": "soak",
        "minutes": minutes,
        "guests": measured.guests,
        "joins": measured.joins,
        "av_offset_ms": {
            "median": round(float(np.median(offsets)), 1),
            "least": round(min(offsets), 1),
            "most": round(max(offsets), 1),
        }
        if offsets
        else None,
        **slope_members("av_drift_ms_per_hour", av_drift),
        **slope_members("clock_drift_ms_per_hour", clock_drift),
        "server_mb": measured.server_mb,
        "stages_mb": measured.stages_mb,
        "sound_missing": measured.sound_missing,
        "frames": measured.frames,
        "late_frames": measured.late_frames,
        **measured.cost.members(),
        **machine.members(),
        **machine_members(),
    }
    if as_json:
        print_json(record)
        return
    shown = record["av_offset_ms"] or {"median": "-", "least": "-", "most": "-"}
    print_rows(
        f"{minutes:g} minutes, {measured.guests} sessions and {measured.joins} viewers that came and went",
        [
            ("A/V offset, median (least to most), ms", "{median} ({least} to {most})".format(**shown)),
            ("its drift, ms an hour", av_drift or "-"),
            ("drift of the session's clock, ms an hour", clock_drift or "-"),
            ("memory of the server, MB", "{} -> {}".format(*measured.server_mb)),
            ("memory of the stages, MB", "{} -> {}".format(*measured.stages_mb)),
            ("lost packets of sound", measured.sound_missing),
            ("late frames", f"{measured.late_frames} of {measured.frames}"),
        ],
        measured.cost.sentence(),
        machine.sentence(),
    )
