"""`visavis bench soak --virtual`: the drift between sound and lips over hours, on a virtual clock.

Drift is a matter of media time: how samples of sound, rows of motion and frames are counted, and how their times leave.
So one session is performed as fast as possible, with the performance and the frame clock of a stage, and hours take
minutes. One utterance contains the sample again and again, at any rate, in uneven pieces that come early and late; the
pace of the frames changes. A viewer's times are computed as a viewer does: from the RTP times of packets and from the
newest sender report of each stream. Pictures are not drawn, and nothing is encoded.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visavis.bench.figures import Repeated, print_json, print_rows
from visavis.bench.slope import Slope, slope_members
from visavis.demo import measure as content
from visavis.engine.audio.files import read_speech
from visavis.engine.motion.frame import SPOKEN_COUNT, SpeechMotion
from visavis.engine.speech.stream import SpeechStream
from visavis.library import SAMPLE
from visavis.rooms.port import MediaKind
from visavis.rooms.webrtc.rtp import RATES_HZ, rtp_time
from visavis.rooms.webrtc.sender_reports import ntp_timestamp, unix_time_s
from visavis.stage.pace import FrameClock
from visavis.stage.performance import Performance
from visavis.stage.port.events import PlaybackFinished
from visavis.stage.port.values import Speech
from visavis.stage.resampler import Resampler
from visavis.stage.timeline import BLOCK_SAMPLES, PLAYOUT_RATE_HZ, duration_ns

FPS = 25
GAP_S = 1.0  # of silence, after each time the sample is spoken
PACE_EVERY_S = 40  # the pace of the frames changes
PACES = (0, 1, 0, 2, 0, 4)
LEAST_MS, MOST_MS = 5, 120  # of a piece
AHEAD_S, LATE_S = 0.3, 0.1  # pieces come so long before they are played, and up to so much later than that
LOST_TIME_EVERY, LOST_TIME_S = 400, 0.6  # once in so many pieces, all later ones come so much later
WALL_CLOCK_NS = 1_750_000_000 * 1_000_000_000  # of position 0
SEARCH_S = 0.06  # the lips are searched from so much before the sound to so much after it
LEAST_LIKENESS = 0.7  # of sound and lips; below it an underrun was within the sample


@dataclass(slots=True)
class VirtualSoak:
    """What was found. Each pair of `av_offset_ms`: seconds since the beginning, and how much later than the sound the
    lips are. `played_s`: what was played; `sent_s`: the exact length of the audio that was sent.
    """

    av_offset_ms: list[tuple[float, float]] = field(default_factory=list)
    sent_s: float = 0.0
    played_s: float = 0.0
    underruns: int = 0


def viewer_time_s(kind: MediaKind, position: int, *, report_position: int) -> float:
    """Return when a viewer shows what has this position, unix time: by its RTP time and by a sender report."""
    ntp = ntp_timestamp(WALL_CLOCK_NS + duration_ns(report_position))
    passed = rtp_time(kind, position) - rtp_time(kind, report_position)
    passed = (passed + (1 << 31)) % (1 << 32) - (1 << 31)
    return unix_time_s(ntp) + passed / RATES_HZ[kind]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sample:
    """The sample at the rate at which it is sent, with a pause behind it, and what is expected of it: its sound at 48
    kHz, and how far it moves the mouth.
    """

    pcm: NDArray[np.int16]
    rate_hz: int
    sound: NDArray[np.float32]
    expected: NDArray[np.float32]

    @classmethod
    def at(cls, rate_hz: int) -> _Sample:
        pcm, original_hz = read_speech(SAMPLE)
        stream = SpeechStream()
        motion = SpeechMotion.concatenate([stream.push(pcm), stream.finish()])
        return cls(
            pcm=np.append(_resampled(pcm, original_hz, rate_hz), np.zeros(round(GAP_S * rate_hz), np.int16)),
            rate_hz=rate_hz,
            sound=_float(_resampled(pcm, original_hz, PLAYOUT_RATE_HZ)),
            expected=content.expected_distance(motion),
        )

    @property
    def span_samples(self) -> int:
        """In so many samples at 48 kHz it is heard once from its beginning to its end."""
        return 2 * len(self.pcm) * PLAYOUT_RATE_HZ // self.rate_hz

    def pieces(self, seed: int) -> Iterator[tuple[float, NDArray[np.int16]]]:
        """Cut the sample, again and again, into uneven pieces without end; with each, when it comes, in seconds."""
        chance = random.Random(seed)
        sent, at, lost_s = 0, 0, 0.0
        while True:
            size = round(chance.uniform(LEAST_MS, MOST_MS) * self.rate_hz / 1000)
            piece = np.take(self.pcm, range(at, at + size), mode="wrap")
            at, sent = (at + size) % len(self.pcm), sent + size
            lost_s += LOST_TIME_S * (chance.random() < 1 / LOST_TIME_EVERY)
            yield sent / self.rate_hz - AHEAD_S + lost_s + chance.uniform(0.0, LATE_S), piece


@dataclass(slots=True)
class _Span:
    """What a viewer has of one stretch of time: sound, and the mouth of each frame, each with its time."""

    begins_s: float  # of the sound
    sound: list[NDArray[np.int16]] = field(default_factory=list)
    frames_s: list[float] = field(default_factory=list)
    mouths: list[NDArray[np.float32]] = field(default_factory=list)

    def av_offset_s(self, sample: _Sample) -> float | None:
        """Return how much later than the sound the lips are; None if the sample is not in it, or interrupted."""
        heard = content.sound_lag(_float(np.concatenate(self.sound)), sample.sound, PLAYOUT_RATE_HZ)
        voice_s = self.begins_s + heard.seconds
        none = np.zeros(len(self.mouths), np.float32)
        motion = SpeechMotion(mouth=np.stack(self.mouths), rest=none, loudness=none, pitch_hz=none, stress=none)
        distance, times_s = content.expected_distance(motion), np.array(self.frames_s)
        lips = content.lips_lag(times_s, distance, sample.expected, around_s=voice_s, within_s=SEARCH_S)
        return lips.seconds - voice_s if min(heard.likeness, lips.likeness) > LEAST_LIKENESS else None


def simulate(*, seconds: float, rate_hz: int, start: int = 0, seed: int = 1) -> VirtualSoak:
    """Perform for so long from the position `start` on. Compare sound and lips after each second time of the sample."""
    sample, found = _Sample.at(rate_hz), VirtualSoak()
    performance = Performance(seed=seed, open_speech=SpeechStream, position=start)
    frames = FrameClock(FPS, start=start)
    pieces = sample.pieces(seed)
    due_s, piece = next(pieces)
    number, sent, span = 0, 0, _Span(viewer_time_s("audio", start, report_position=start))
    while (passed_s := (performance.position - start) / PLAYOUT_RATE_HZ) < seconds:
        while due_s <= passed_s:
            number += 1
            performance.speak(Speech(pcm=piece.tobytes(), sample_rate_hz=rate_hz, number=number, utterance_id="on"))
            sent += len(piece)
            due_s, piece = next(pieces)
        frames.set_pace(PACES[int(passed_s / PACE_EVERY_S) % len(PACES)])
        span.sound.append(performance.next_block())
        performance.events()
        # The newest report of each stream is of another instant.
        report = performance.position - PLAYOUT_RATE_HZ // 3
        while frames.next_at < performance.position:
            position = frames.take()
            span.frames_s.append(viewer_time_s("video", position, report_position=report))
            span.mouths.append(performance.face(position).motion.coefficients[:SPOKEN_COUNT])
        if len(span.sound) * BLOCK_SAMPLES >= sample.span_samples:
            if (offset_s := span.av_offset_s(sample)) is not None:
                found.av_offset_ms.append((passed_s, 1000 * offset_s))
            begins_s = viewer_time_s("audio", performance.position, report_position=performance.position)
            span = _Span(begins_s)
    performance.speak(Speech(pcm=b"", sample_rate_hz=rate_hz, number=number + 1, utterance_id="on", final=True))
    found.sent_s, found.played_s = sent / rate_hz, _played_to_the_end_s(performance)
    found.underruns = performance.underruns
    return found


def _played_to_the_end_s(performance: Performance) -> float:
    """Play the rest of the utterance. Return how much of it was played in all."""
    while True:
        performance.next_block()
        for event in performance.events():
            if isinstance(event, PlaybackFinished):
                return event.position_s


def _resampled(pcm: NDArray[np.int16], rate_in_hz: int, rate_out_hz: int) -> NDArray[np.int16]:
    resampler = Resampler(rate_in_hz, rate_out_hz)
    return np.concatenate([resampler.push(pcm), resampler.finish()])


def _float(sound: NDArray[np.int16]) -> NDArray[np.float32]:
    return sound.astype(np.float32) / np.float32(32_768)


def run(as_json: bool, *, minutes: float, rate_hz: int) -> None:
    """Simulate and print."""
    found = simulate(seconds=60 * minutes, rate_hz=rate_hz)
    offsets = [offset_ms for _, offset_ms in found.av_offset_ms]
    drift = Slope.of(found.av_offset_ms)
    record: dict[str, Any] = {
        "benchmark": "virtual soak",
        "minutes": minutes,
        "rate_hz": rate_hz,
        "compared": len(offsets),
        "av_offset_ms": None if not offsets else Repeated.of(offsets, digits=1),
        **slope_members("av_drift_ms_per_hour", drift),
        "sent_s": found.sent_s,
        "played_s": found.played_s,
        "underruns": found.underruns,
    }
    if as_json:
        print_json(record)
        return
    print_rows(
        f"{minutes:g} minutes of speech at {rate_hz} Hz on a virtual clock",
        [
            ("A/V offset, median (least to most), ms", Repeated.of(offsets, digits=1).text(".1f") if offsets else "-"),
            ("its drift, ms an hour", drift or "-"),
            ("sent and played, s", f"{found.sent_s:.6f}, {found.played_s:.6f}"),
            ("underruns", found.underruns),
        ],
    )
