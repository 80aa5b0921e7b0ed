"""`visavis bench interrupt`: how long after an interrupt the client has its confirmation, and a viewer hears nothing.

A session of a real server hums, and is interrupted again and again. A WebRTC viewer decodes its sound. Beside it, other
sessions speak all the time: none (`alone`), as many as the server admits (`full`), or so many that there are twice as
many (`twice`; admission is set aside).

Confirmed: from sending `agent.interrupt` until `agent.interrupt.confirmed` has come. Silent: from sending it until the
viewer has decoded the last sound above a whisper. The viewer's jitter buffer, about 80 ms, is part of that. Stopped at
the stage: from the interrupt's arrival there until the sound has faded out, as the server measures it.
"""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from visavis.bench.cost_windows import CostWindows, SessionCost
from visavis.bench.figures import percentiles_ms, print_json, print_latencies
from visavis.bench.live import LiveServer, LiveSession, live_session, machine_members, speaking_sessions
from visavis.bench.load import Load
from visavis.bench.under_load import measure_under_load
from visavis.bench.yardstick import Yardstick
from visavis.demo.measure import last_audible_s
from visavis.demo.reception import Reception
from visavis.film import SOUND_RATE_HZ
from visavis.rooms.watch import WhepViewer
from visavis.sessions.session_metrics import Percentiles

RATE_HZ = 16_000
HUM_S = 4
EARLIEST_S, LATEST_S = 0.6, 1.0  # after the start of the hum
AFTER_S = 0.8  # how long the viewer listens after an interrupt
PITCH_HZ = 150.0
WINDOW_S = 10.0  # of the cost, at least


@dataclass(slots=True)
class Measured:
    """What was measured at one load. Times in seconds."""

    sessions: int
    confirmed_s: list[float] = field(default_factory=list)
    silent_s: list[float] = field(default_factory=list)
    stage_silent_ms: Percentiles = field(default_factory=Percentiles)
    least_fps: float = 0.0  # of the sessions beside it
    cost: SessionCost = SessionCost(None)  # noqa: RUF009  frozen


def hum() -> bytes:
    """Return a steady voiced sound, PCM16: wherever it is cut, something was audible."""
    times_s = np.arange(HUM_S * RATE_HZ) / RATE_HZ
    wave = sum(np.sin(2 * np.pi * PITCH_HZ * n * times_s) / n for n in range(1, 9))
    samples = np.rint(6000 * np.asarray(wave)).astype("<i2")
    return bytes(samples)


async def measure(server: LiveServer, yardstick: Yardstick, *, rounds: int, beside: int) -> Measured:
    """Interrupt `rounds` times, with `beside` other sessions that speak."""
    async with (
        server.client() as http,
        live_session(http, server.look, "playback") as session,  # first: the others take what place is left
        speaking_sessions(http, server.look, beside) as load,
        WhepViewer(whep_url=session.whep_url, token=session.token) as viewer,
    ):
        measured = Measured(sessions=load.count + 1)
        reception = Reception()
        receiving = [
            asyncio.create_task(reception.take_pictures(viewer)),
            asyncio.create_task(reception.take_sound(viewer)),
        ]
        try:
            await reception.wait_for_picture(512, 512)
            windows = CostWindows(server, session, yardstick)
            await windows.begin()
            began_s, spoken_s = time.monotonic(), 0.0
            await load.least_fps(1.0)
            for number in range(rounds):
                spoken_s += await interrupt(session, reception, measured, f"hum {number}")
                if (passed_s := windows.passed_s) >= WINDOW_S or number == rounds - 1:
                    await windows.close(
                        session_s=measured.sessions * passed_s, spoken_s=spoken_s + load.count * passed_s
                    )
                    spoken_s = 0.0
            measured.least_fps = await load.least_fps(time.monotonic() - began_s)
            measured.cost = windows.cost()
            silent_ms = (await session.metrics())["interrupts"]["silent_ms"]
            measured.stage_silent_ms = Percentiles(**silent_ms)
        finally:
            for task in receiving:
                task.cancel()
            await asyncio.gather(*receiving, return_exceptions=True)
    return measured


async def interrupt(session: LiveSession, reception: Reception, measured: Measured, utterance_id: str) -> float:
    """Let the session hum, interrupt it, and add what was measured. Return how many seconds it hummed."""
    channel = session.channel
    await channel.speak(hum(), sample_rate_hz=RATE_HZ, utterance_id=utterance_id)
    await channel.wait_for("agent.playback.started", utterance_id=utterance_id)
    await asyncio.sleep(random.uniform(EARLIEST_S, LATEST_S))
    sent_s = await channel.tell(type="agent.interrupt")
    confirmed = await channel.wait_for("agent.interrupt.confirmed")
    finished = await channel.wait_for("agent.playback.finished", utterance_id=utterance_id)
    await asyncio.sleep(max(0.0, sent_s + AFTER_S - time.monotonic()))
    measured.confirmed_s.append(confirmed.arrived_s - sent_s)
    measured.silent_s.append(_silent_after_s(reception, sent_s))
    reception.blocks.clear()
    reception.pictures.clear()
    played_s: float = finished.message["position_s"]
    return played_s


def _silent_after_s(reception: Reception, sent_s: float) -> float:
    """Return how long after `sent_s` the viewer has decoded the last audible sound."""
    after = [block for block in reception.blocks if block.arrived_s > sent_s]
    if not after:
        return 0.0
    samples = np.concatenate([block.samples for block in after]).astype(np.float32) / np.float32(32_768)
    times_s = np.concatenate([np.full(len(block.samples), block.arrived_s) for block in after])
    silent_s = last_audible_s(times_s, samples, SOUND_RATE_HZ)
    return 0.0 if silent_s is None else silent_s - sent_s


def run(as_json: bool, *, rounds: int, load: Load) -> None:
    """Measure and print."""
    found = measure_under_load(load, partial(measure, rounds=rounds))
    measured = found.measured
    confirmed, silent = percentiles_ms(measured.confirmed_s), percentiles_ms(measured.silent_s)
    record = {
        "benchmark": "interrupt",
        "load": load,
        "rounds": rounds,
        "sessions": measured.sessions,
        "admitted_sessions": found.admitted_sessions,
        "confirmed_ms": confirmed,
        "silent_ms": silent,
        "stage_silent_ms": measured.stage_silent_ms,
        "least_fps_beside": measured.least_fps,
        **measured.cost.members(),
        **found.machine.members(),
        **machine_members(),
    }
    if as_json:
        print_json(record)
        return
    print_latencies(
        f"{rounds} interrupts, {measured.sessions} sessions (this server admits {found.admitted_sessions})",
        [
            ("interrupt to its confirmation", confirmed),
            ("interrupt to silence at a viewer", silent),
            ("of that, at the stage", measured.stage_silent_ms),
        ],
        measured.cost.sentence(),
        found.machine.sentence(),
    )
