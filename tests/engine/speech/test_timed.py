"""Speech with timings: the mouth follows them, however speech and timings are cut, and passes to and from what is heard
without a jump.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from visavis.engine.audio.files import read_speech
from visavis.engine.motion.frame import INDEX, SpeechMotion
from visavis.engine.speech.stream import SpeechStream
from visavis.engine.speech.timed import TimedPhone, TimedSpeech, time_visemes

from .test_stream import murmur, same

SPEECH = Path(__file__).parents[4] / "shared" / "speech" / "lj"
PHONES = [
    ("SIL", 0, 80),
    ("B", 80, 150),
    ("AA", 150, 300),
    ("P", 300, 330),
    ("IY", 330, 480),
    ("F", 480, 560),
    ("UW", 560, 700),
    ("SIL", 700, 1000),
]
PCM = murmur(1.0)


def row(ms: float) -> int:
    return round(ms / 10)


def gap(motion: SpeechMotion) -> NDArray[np.float32]:
    return motion.mouth[:, INDEX["jawOpen"]] - motion.mouth[:, INDEX["mouthClose"]]


def timed(
    pcm: NDArray[np.int16],
    phones: Sequence[tuple[str, float, float]],
    *,
    cuts: list[int] | None = None,
    piece: int = 640,
) -> SpeechMotion:
    """Speak `pcm` as messages cut at `cuts` (samples), each with its own phones and their times, pushed in pieces."""
    stream, parts = TimedSpeech(SpeechStream()), []
    for a, b in zip([0, *(cuts or [])], [*(cuts or []), len(pcm)], strict=True):
        own = [
            TimedPhone(p, max(0, s - a / 16), min(e, b / 16) - a / 16)
            for p, s, e in phones
            if e > a / 16 and s < b / 16
        ]
        stream.expect(time_visemes(own, "arpabet", duration_ms=(b - a) / 16), start_sample=a, samples=b - a)
        parts += [stream.push(pcm[k : min(b, k + piece)]) for k in range(a, b, piece)]
    return SpeechMotion.concatenate([*parts, stream.finish()])


def test_the_mouth_does_what_the_phones_say() -> None:
    motion = timed(PCM, PHONES)
    assert len(motion) == 100
    apart = gap(motion)
    for start, end in ((80, 150), (300, 330)):
        assert (apart[row(start) : row(end)] < 1e-6).all()
        shut = np.flatnonzero(apart[row(start) - 6 : row(end) + 6] < 1e-6)
        assert len(shut) >= 5, "a frame of 25 a second may miss it"
    assert apart[row(220)] > 0.5 and motion.mouth[row(410), INDEX["mouthStretch"]] > 0.3
    assert motion.mouth[row(520), INDEX["mouthRollLower"]] > 0.6 and motion.mouth[row(630), INDEX["mouthPucker"]] > 0.6
    assert not motion.mouth[row(780) :].any() and (motion.rest[row(780) :] == 1).all()
    assert motion.mouth.min() >= 0 and motion.mouth.max() <= 1 and np.isfinite(motion.mouth).all()


def test_loudness_pitch_and_stress_are_those_of_the_sound() -> None:
    heard = SpeechMotion.concatenate([(stream := SpeechStream()).push(PCM), stream.finish()])
    motion = timed(PCM, PHONES)
    for name in ("loudness", "pitch_hz", "stress"):
        assert np.array_equal(getattr(motion, name), getattr(heard, name))
    assert not np.allclose(motion.mouth, heard.mouth)


@pytest.mark.parametrize("piece", [1, 37, 160, 5000, 16_000])
def test_pieces_of_any_size_give_the_same_motion(piece: int) -> None:
    pcm = PCM[: 16_000 if piece > 1 else 3000]
    phones = [p for p in PHONES if p[2] <= len(pcm) / 16]
    assert np.allclose(timed(pcm, phones, piece=piece).mouth, timed(pcm, phones).mouth, atol=1e-6)


def test_sounds_of_different_messages_run_into_each_other() -> None:
    whole = timed(PCM, PHONES)
    for cuts in ([2400], [4800, 5280, 9000], list(range(320, 16_000, 320))):
        cut = timed(PCM, PHONES, cuts=cuts)
        assert len(cut) == len(whole)
        assert np.abs(cut.mouth - whole.mouth).max() < 0.12, cuts
        assert (gap(cut)[row(80) : row(150)] < 1e-6).all()


def test_speech_without_timings_is_heard_as_ever() -> None:
    heard = SpeechMotion.concatenate([(stream := SpeechStream()).push(PCM), stream.finish()])
    through = TimedSpeech(SpeechStream())
    assert same(SpeechMotion.concatenate([through.push(PCM), through.finish()]), heard)


def test_timed_and_untimed_messages_follow_each_other_without_a_jump() -> None:
    heard = SpeechMotion.concatenate([(stream := SpeechStream()).push(PCM), stream.finish()])
    mixed, parts = TimedSpeech(SpeechStream()), []
    parts.append(mixed.push(PCM[:6400]))
    mixed.expect(time_visemes([TimedPhone("AA", 0, 200)], "arpabet", duration_ms=200), start_sample=6400, samples=3200)
    parts += [mixed.push(PCM[6400:9600]), mixed.push(PCM[9600:]), mixed.finish()]
    motion = SpeechMotion.concatenate(parts)
    assert np.array_equal(motion.mouth[:36], heard.mouth[:36]) and np.array_equal(motion.mouth[64:], heard.mouth[64:])
    assert motion.mouth[50, INDEX["jawOpen"]] > 0.5
    largest = max(np.abs(np.diff(heard.mouth[:, INDEX["jawOpen"]])).max(), 0.2)
    assert np.abs(np.diff(motion.mouth[:, INDEX["jawOpen"]])).max() <= largest


def test_a_reset_forgets_the_timings() -> None:
    stream = TimedSpeech(SpeechStream())
    stream.expect(
        time_visemes([TimedPhone("AA", 0, 1000)], "arpabet", duration_ms=1000), start_sample=0, samples=16_000
    )
    stream.push(PCM)
    stream.reset()
    heard = SpeechMotion.concatenate([(other := SpeechStream()).push(PCM), other.finish()])
    assert same(SpeechMotion.concatenate([stream.push(PCM), stream.finish()]), heard)


@pytest.mark.shared
@pytest.mark.skipif(not SPEECH.is_dir(), reason="the recordings of ../shared are not there")
def test_recordings_with_their_phones_close_every_closure_and_no_vowel() -> None:
    closed, shut = [], []
    for tsv in sorted(SPEECH.glob("*.phones.tsv")):
        pcm, _ = read_speech(tsv.with_name(tsv.name.replace(".phones.tsv", ".flac")))
        rows = [line.split("\t")[:3] for line in tsv.read_text().splitlines()]
        phones = [(p, 1000 * float(s), 1000 * float(e)) for s, e, p in rows]
        apart = gap(timed(pcm, phones))
        p90 = np.percentile(apart, 90)
        for phone, start, end in phones:
            # 25 frames a second, in every phase
            frames = [apart[row(max(0, start - 40)) : row(end + 40)][phase::4].min() for phase in range(4)]
            if phone in {"P", "B", "M"} and end - start >= 30:
                closed += [least <= 0.2 * p90 for least in frames]
            elif phone[0] in "AEIOU" and end - start >= 60:
                quarter = (end - start) / 4
                shut.append(apart[row(start + quarter) : row(end - quarter)].min() <= 0.2 * p90)
    assert len(closed) > 80 and np.mean(closed) >= 0.97, np.mean(closed)
    assert len(shut) > 50 and np.mean(shut) == 0, np.mean(shut)


def test_the_tongue_is_between_the_teeth_while_a_th_is_said_and_at_no_other_time() -> None:
    tongue = timed(
        PCM,
        [
            ("SIL", 0, 80),
            ("AH", 80, 200),
            ("TH", 200, 300),
            ("IY", 300, 420),
            ("D", 420, 500),
            ("B", 500, 620),
            ("SIL", 620, 1000),
        ],
    )
    out = tongue.mouth[:, INDEX["tongueOut"]]
    assert out[row(230) : row(270)].min() > 0.9
    assert out[: row(150)].max() == 0 and out[row(340) :].max() == 0
