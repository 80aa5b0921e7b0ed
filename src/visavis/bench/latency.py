"""`visavis bench latency`: how long after speech was sent a frame shows it, and the lips move in a browser.

A session of a real server speaks a phrase again and again. Beside it, other sessions speak all the time (`--load`).

Frame: from sending the first message of a phrase on the channel until its first frame is encoded. The stage measures
from the phrase's arrival to the frame; the time until `agent.speak.confirmed` has come is added, which is a little more
than the way to the stage. Once the phrase is sent at once, and once live, in pieces of 20 ms, as from a microphone.
Live speech that comes unevenly waits for up to 120 ms more of it (stage/performance.py), so that it plays evenly. While
it comes, the stage also tells how long each sample took to the frame that shows it; the median of a second is a value.

Lips: a headless Chromium plays the room page, and the page notes when the pixels of each picture can be read. The lips
are compared with the motion that the engine computes for the phrase (demo/measure.py); the lag at which both agree best
is the instant at which the phrase's first sample is shown. The browser's jitter buffer is part of that. Without
Chromium or playwright this part is skipped, and the output says what to install.
"""

from __future__ import annotations

import asyncio
import base64
import time
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from visavis.bench import browser
from visavis.bench.cost_windows import CostWindows, SessionCost
from visavis.bench.figures import percentiles_ms, print_json, print_latencies
from visavis.bench.live import LiveServer, LiveSession, live_session, machine_members, speaking_sessions
from visavis.bench.load import Load
from visavis.bench.under_load import measure_under_load
from visavis.bench.viewer_process import ViewerProcess
from visavis.bench.yardstick import Yardstick
from visavis.demo import measure as content
from visavis.engine.audio.files import read_speech
from visavis.engine.motion.frame import SpeechMotion
from visavis.engine.speech.stream import SpeechStream
from visavis.errors import ContractBroken
from visavis.library import SAMPLE

PHRASE_S = 2.4
REST_S = 1.2  # between phrases
PIECE_MS = 20
WINDOW_S = 10.0  # of the cost, at least
LEAST_LIKENESS = 0.4  # of the lips and the expected motion; below it a phrase is not counted
USUAL_LAG_S = 0.25  # around which the lips are searched


@dataclass(slots=True)
class Measured:
    """Times in seconds. `lips_s` has no values without a browser."""

    sessions: int
    frame_s: list[float] = field(default_factory=list)
    live_frame_s: list[float] = field(default_factory=list)
    live_sample_s: list[float] = field(default_factory=list)  # the median of each second
    lips_s: list[float] = field(default_factory=list)
    unrecognised: int = 0  # phrases whose lips were not found in the pictures
    least_fps: float = 0.0  # of the sessions beside it
    cost: SessionCost = SessionCost(None)  # noqa: RUF009  frozen


@dataclass(frozen=True, slots=True, kw_only=True)
class Phrase:
    """`pcm`: int16 (n,). `expected`: how far it moves the mouth, float32, one value per 10 ms."""

    pcm: NDArray[np.int16]
    rate_hz: int
    expected: NDArray[np.float32]

    @classmethod
    def of_the_sample(cls) -> Phrase:
        pcm, rate_hz = read_speech(SAMPLE)
        pcm = pcm[: int(PHRASE_S * rate_hz)]
        stream = SpeechStream()
        motion = SpeechMotion.concatenate([stream.push(pcm), stream.finish()])
        return cls(pcm=pcm, rate_hz=rate_hz, expected=content.expected_distance(motion))


async def measure(server: LiveServer, yardstick: Yardstick, *, phrases: int, beside: int) -> Measured:
    """Measure `phrases` that are sent at once and as many that are sent live, with a viewer that counts; then lips."""
    phrase = Phrase.of_the_sample()
    async with (
        server.client() as http,
        live_session(http, server.look, "playback", "metrics") as session,  # first: the others take what place is left
        speaking_sessions(http, server.look, beside) as load,
    ):
        measured = Measured(sessions=load.count + 1)
        viewers = await ViewerProcess.start()
        try:
            await viewers.join(0, session.exchange)
            await asyncio.sleep(REST_S)
            windows = CostWindows(server, session, yardstick)
            await windows.begin()
            began_s, spoken_s = time.monotonic(), 0.0
            await load.least_fps(1.0)
            for number in range(phrases):
                measured.frame_s.append(await _at_once(session, phrase, f"at once {number}"))
                session.channel.take("session.metrics")
                measured.live_frame_s.append(await _live(session, phrase, f"live {number}"))
                measured.live_sample_s += _sample_to_frame_s(session)
                spoken_s += 2 * len(phrase.pcm) / phrase.rate_hz
                if (passed_s := windows.passed_s) >= WINDOW_S or number == phrases - 1:
                    await windows.close(
                        session_s=measured.sessions * passed_s, spoken_s=spoken_s + load.count * passed_s
                    )
                    spoken_s = 0.0
            measured.least_fps = await load.least_fps(time.monotonic() - began_s)
            measured.cost = windows.cost()
        finally:
            await viewers.aclose()
        if browser.missing() is None:
            room = session.document["daily_room"]
            async with browser.room_page(room["url"], room["token"]) as page:
                await asyncio.sleep(2.0)  # the jitter buffer of a browser that has just joined settles
                for number in range(phrases):
                    await _lips(session, page, phrase, measured, f"lips {number}")
    return measured


async def _at_once(session: LiveSession, phrase: Phrase, utterance_id: str) -> float:
    """Send a phrase as one message. Return the time to its first frame, in seconds."""
    sent_s = await _tell(session, phrase, phrase.pcm, utterance_id, final=True)
    confirmed = await session.channel.wait_for("agent.speak.confirmed")
    return confirmed.arrived_s - sent_s + await _frame_s(session, utterance_id)


async def _live(session: LiveSession, phrase: Phrase, utterance_id: str) -> float:
    """Send a phrase in pieces as it would be spoken. Return the time to its first frame, in seconds."""
    size = phrase.rate_hz * PIECE_MS // 1000
    starts = range(0, len(phrase.pcm), size)
    begins_s = time.monotonic()
    confirmed_s = 0.0
    for number, start in enumerate(starts):
        await asyncio.sleep(begins_s + number * PIECE_MS / 1000 - time.monotonic())
        sent_s = await _tell(
            session, phrase, phrase.pcm[start : start + size], utterance_id, final=number == len(starts) - 1
        )
        if number == 0:
            confirmed_s = (await session.channel.wait_for("agent.speak.confirmed")).arrived_s - sent_s
    for _ in starts[1:]:
        await session.channel.wait_for("agent.speak.confirmed")
    return confirmed_s + await _frame_s(session, utterance_id)


def _sample_to_frame_s(session: LiveSession) -> list[float]:
    """Return what the stage told of the seconds in which speech came live."""
    told = [received.message["sample_to_frame_ms"] for received in session.channel.take("session.metrics")]
    return [value_ms / 1000 for value_ms in told if value_ms is not None]


async def _tell(
    session: LiveSession, phrase: Phrase, pcm: NDArray[np.int16], utterance_id: str, *, final: bool
) -> float:
    """Send a piece of speech. Return when, on time.monotonic."""
    return await session.channel.tell(
        type="agent.speak",
        audio=base64.b64encode(pcm.tobytes()).decode(),
        sample_rate=phrase.rate_hz,
        utterance_id=utterance_id,
        final=final,
    )


async def _frame_s(session: LiveSession, utterance_id: str) -> float:
    """Wait for the end of an utterance and rest. Return the time from its arrival to its first frame, in seconds.
    Raises `ContractBroken` if no frame showed it.
    """
    told = await session.channel.wait_for("utterance.metrics", utterance_id=utterance_id)
    await asyncio.sleep(REST_S)
    if told.message["frame_ms"] is None:
        raise ContractBroken(f"No frame of the utterance {utterance_id!r} was encoded")
    frame_ms: float = told.message["frame_ms"]
    return frame_ms / 1000


async def _lips(
    session: LiveSession, page: browser.RoomPage, phrase: Phrase, measured: Measured, utterance_id: str
) -> None:
    """Speak a phrase, and add how long after sending it the page showed its beginning."""
    await page.take_pictures()
    await asyncio.sleep(REST_S)
    sent_s = time.time()  # as the page's clock
    await _tell(session, phrase, phrase.pcm, utterance_id, final=True)
    await session.channel.wait_for("agent.playback.finished", utterance_id=utterance_id)
    await asyncio.sleep(0.6)
    pictures = await page.take_pictures()
    lag = lips_lag(pictures, phrase, sent_s)
    if lag is None:
        measured.unrecognised += 1
    else:
        measured.lips_s.append(lag)


def lips_lag(pictures: browser.Pictures, phrase: Phrase, sent_s: float) -> float | None:
    """Return how long after `sent_s` the pictures show the beginning of a phrase; None if it is not found in them."""
    resting = slice(0, int(np.searchsorted(pictures.times_s, sent_s)))
    face = content.find_face(pictures.grey[resting.stop // 2]) if resting.stop else None
    if face is None:
        return None
    distance = content.mouth_distance(pictures.grey, resting, face)
    lag = content.lips_lag(
        pictures.times_s - sent_s, distance, phrase.expected, around_s=USUAL_LAG_S, within_s=USUAL_LAG_S
    )
    return lag.seconds if lag.likeness >= LEAST_LIKENESS else None


def run(as_json: bool, *, phrases: int, load: Load) -> None:
    """Measure and print."""
    found = measure_under_load(load, partial(measure, phrases=phrases))
    measured = found.measured
    missing = browser.missing()
    rows = {
        "frame_ms": ("speech sent at once to its first frame encoded", percentiles_ms(measured.frame_s)),
        "live_frame_ms": ("speech sent live to its first frame encoded", percentiles_ms(measured.live_frame_s)),
        "live_sample_ms": (
            "while it comes live: a sample's arrival to the frame that shows it",
            percentiles_ms(measured.live_sample_s),
        ),
        "lips_ms": ("speech sent to the lips in Chromium", percentiles_ms(measured.lips_s)),
    }
    record = {
        "benchmark": "latency",
        "load": load,
        "phrases": phrases,
        "sessions": measured.sessions,
        "admitted_sessions": found.admitted_sessions,
        **{member: figures for member, (_, figures) in rows.items()},
        "lips_unrecognised": measured.unrecognised,
        "lips_skipped": missing,
        "least_fps_beside": measured.least_fps,
        **measured.cost.members(),
        **found.machine.members(),
        **machine_members(),
    }
    if as_json:
        print_json(record)
        return
    print_latencies(
        f"{phrases} phrases each, {measured.sessions} sessions (this server admits {found.admitted_sessions})",
        list(rows.values()),
        *([f"The lips in a browser were not measured. {missing}"] if missing else []),
        measured.cost.sentence(),
        found.machine.sentence(),
    )
