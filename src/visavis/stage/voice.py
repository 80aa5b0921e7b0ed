"""One utterance's sound and motion: PCM in at any rate, 48 kHz sound and the mouth of any instant out. Pure; works only
as far ahead as asked.

Audio is kept as it came and turned into sound and motion shortly before it is played, so that ten minutes of speech
sent at once cost memory but no stall. A `segment` is an unbroken run of audio: it ends with the utterance, at a change
of rate, or where the audio ran out before more came.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visavis.engine.motion.frame import SpeechMotion
from visavis.engine.motion.liveliness import REST_MOUTH, SILENCE, Cue
from visavis.engine.motion.mood import Mood
from visavis.engine.speech.port import SPEECH_RATE_HZ, SpeechToMotion
from visavis.engine.speech.timed import TimedSpeech, TimedViseme
from visavis.stage.resampler import Resampler
from visavis.stage.timeline import PLAYOUT_RATE_HZ, SAMPLES_PER_MS, STEP_SAMPLES

# What becomes sound and motion at once: large pieces stay in the network's weights while they are in the cache, and
# cost half as much as small ones, but are taken only while enough is ready to wait for them.
PIECE_MS, LARGE_PIECE_MS = 40, 80
CALM_SAMPLES = 100 * SAMPLES_PER_MS
KEPT_STEPS = 100  # motion behind the present that is kept before it is trimmed

Timings = tuple[TimedViseme, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Instant:
    """What speech says of one instant. `mouth`: float32 (MOUTH_COUNT,)."""

    mouth: NDArray[np.float32]
    cue: Cue


AT_REST = Instant(mouth=REST_MOUTH, cue=SILENCE)


class _Segment:
    """An unbroken run of audio at one rate. Positions are 48 kHz samples since the utterance began."""

    def __init__(self, *, start: int, rate_hz: int, speech: TimedSpeech) -> None:
        self.start = start
        self.rate_hz = rate_hz
        self._speech = speech
        self._taken = 0  # samples at rate_hz
        self._to_playout = Resampler(rate_hz, PLAYOUT_RATE_HZ)
        self._to_speech = Resampler(rate_hz, SPEECH_RATE_HZ)
        self.finished = False
        self.rows = SpeechMotion.concatenate([])
        self.rows_from = 0  # the number of rows trimmed away

    @property
    def certain_until(self) -> int:
        return self.start + (self.rows_from + len(self.rows)) * STEP_SAMPLES

    def expect(self, visemes: Sequence[TimedViseme], *, samples: int) -> None:
        """Say what is spoken in the next `samples` (at the segment's rate), with times from their start on."""
        to_speech = SPEECH_RATE_HZ / self.rate_hz
        self._speech.expect(visemes, start_sample=self._taken * to_speech, samples=samples * to_speech)

    def push(self, pcm: NDArray[np.int16]) -> NDArray[np.int16]:
        self._taken += len(pcm)
        self._add(self._speech.push(self._to_speech.push(pcm)))
        return self._to_playout.push(pcm)

    def finish(self) -> NDArray[np.int16]:
        self.finished = True
        tail = self._to_speech.finish()
        if len(tail):
            self._add(self._speech.push(tail))
        self._add(self._speech.finish())
        return self._to_playout.finish()

    def _add(self, rows: SpeechMotion) -> None:
        if len(rows):
            self.rows = SpeechMotion.concatenate([self.rows, rows])

    def at(self, position: int) -> Instant:
        """Return the motion at `position`, or the newest that is certain."""
        row = (position - self.start) // STEP_SAMPLES - self.rows_from
        if not len(self.rows):
            return AT_REST
        row = max(0, min(row, len(self.rows) - 1))
        rows = self.rows
        cue = Cue(rest=float(rows.rest[row]), loudness=float(rows.loudness[row]), stress=float(rows.stress[row]))
        if row > 2 * KEPT_STEPS:
            self.rows, self.rows_from = rows[row - KEPT_STEPS :], self.rows_from + row - KEPT_STEPS
        return Instant(mouth=rows.mouth[row], cue=cue)


@dataclass(slots=True)
class _Piece:
    """What is left of one call's audio."""

    pcm: NDArray[np.int16]
    rate_hz: int
    visemes: Timings | None  # what is spoken in the whole of it, where the client said so
    mood: Mood | None  # from its first sample on
    taken: int = 0  # samples of it that have become sound and motion
    told: _Segment | None = None  # the segment that knows its visemes


@dataclass(slots=True)
class _Arrival:
    until: int  # the position up to which this call's audio reaches, at its own rate's exact length
    at_ns: int


class Voice:
    """One utterance's sound. `speech` is used by this voice alone from `open_speech` on; a voice that has not begun
    holds none.
    """

    def __init__(self, open_speech: Callable[[], SpeechToMotion]) -> None:
        self._open_speech = open_speech
        self._speech: TimedSpeech | None = None
        self._raw: deque[_Piece] = deque()
        self._raw_samples = 0  # at 48 kHz, of what is still in _raw
        self._segments: deque[_Segment] = deque()
        self._sound: deque[NDArray[np.int16]] = deque()
        self._arrivals: deque[_Arrival] = deque()
        self._moods: deque[tuple[int, Mood]] = deque()  # each with the position from which it holds
        self._received = 0  # at 48 kHz, rounded per call
        self.ready_until = 0  # sound is there up to this position
        self.played = 0
        # set where the audio ran out: what came since waits until there is enough to go on
        self._stop_at: int | None = None
        self.closed = False  # no more audio will come
        self.drained = False  # closed, and everything has become sound and motion

    # --- what comes in
    def add(
        self,
        pcm: NDArray[np.int16],
        rate_hz: int,
        *,
        now_ns: int,
        visemes: Timings | None = None,
        mood: Mood | None = None,
    ) -> None:
        assert not self.closed
        if not len(pcm):
            return
        samples = len(pcm) * PLAYOUT_RATE_HZ // rate_hz
        self._raw.append(_Piece(pcm, rate_hz, visemes, mood))
        self._raw_samples += samples
        self._received += samples
        self._arrivals.append(_Arrival(until=self._received, at_ns=now_ns))

    def close(self) -> None:
        self.closed = True

    @property
    def unplayed_samples(self) -> int:
        return max(0, self._raw_samples + self.ready_until - self.played)

    # --- work ahead
    def prepare(self, until: int) -> None:
        """Turn audio into sound and motion until both are there up to `until`, or the audio is used up."""
        while self._raw and (ready := min(self.ready_until, self.certain_until)) < until:
            piece = self._raw[0]
            calm = ready - self.played >= CALM_SAMPLES
            if calm:
                self._join_small_pieces(piece)
            most = piece.rate_hz * (LARGE_PIECE_MS if calm else PIECE_MS) // 1000
            if calm and len(piece.pcm) < most and piece is self._raw[-1] and not self.closed:
                break  # there is time to see whether more comes
            pcm = piece.pcm[:most]
            self._raw_samples -= len(pcm) * PLAYOUT_RATE_HZ // piece.rate_hz
            self._segment_for(piece.rate_hz)
            self._tell(piece, self._segments[-1])
            self._append(self._segments[-1].push(pcm))
            piece.pcm, piece.taken = piece.pcm[most:], piece.taken + len(pcm)
            if not len(piece.pcm):
                self._raw.popleft()
        if not self._raw:
            self._raw_samples = 0
            if self.closed and not self.drained:
                self._finish_segment()
                self.drained = True

    def _join_small_pieces(self, piece: _Piece) -> None:
        """Let the first piece take in those that follow and bring nothing but sound, up to a large one."""
        most = piece.rate_hz * LARGE_PIECE_MS // 1000
        while len(piece.pcm) < most and len(self._raw) > 1:
            following = self._raw[1]
            timed = piece.visemes is not None or following.visemes is not None
            if timed or following.rate_hz != piece.rate_hz or following.mood not in (None, piece.mood):
                return
            piece.pcm = np.concatenate([piece.pcm, following.pcm])
            del self._raw[1]

    def _tell(self, piece: _Piece, segment: _Segment) -> None:
        """Say what comes with a piece, before its audio does."""
        if piece.mood is not None and not piece.taken and (not self._moods or self._moods[-1][1] != piece.mood):
            self._moods.append((self.ready_until, piece.mood))
        if piece.visemes is not None and piece.told is not segment:
            piece.told = segment
            behind_ms = piece.taken * 1000 / piece.rate_hz
            later = [
                TimedViseme(v.viseme, max(0.0, v.start_ms - behind_ms), v.end_ms - behind_ms)
                for v in piece.visemes
                if v.end_ms > behind_ms
            ]
            segment.expect(later, samples=len(piece.pcm))

    def run_out(self) -> None:
        """No more has come in time: give out the sound and motion that were held back for what might follow, and stop
        there.
        """
        if self._stop_at is None and not self.drained:
            self._finish_segment()
            self._stop_at = self.ready_until

    def go_on(self) -> None:
        """Play on past where the audio ran out."""
        self._stop_at = None

    def _finish_segment(self) -> None:
        if self._segments and not self._segments[-1].finished:
            self._append(self._segments[-1].finish())

    def _segment_for(self, rate_hz: int) -> None:
        if self._segments and not self._segments[-1].finished:
            if self._segments[-1].rate_hz == rate_hz:
                return
            self._finish_segment()
        if self._speech is None:
            self._speech = TimedSpeech(self._open_speech())
        self._speech.reset()
        self._segments.append(_Segment(start=self.ready_until, rate_hz=rate_hz, speech=self._speech))

    def _append(self, sound: NDArray[np.int16]) -> None:
        if len(sound):
            self._sound.append(sound)
            self.ready_until += len(sound)

    # --- what goes out
    @property
    def certain_until(self) -> int:
        """Motion is certain up to this position."""
        return self._segments[-1].certain_until if self._segments else 0

    @property
    def playable_samples(self) -> int:
        """What `take` would give at most, now."""
        return (self.ready_until if self._stop_at is None else self._stop_at) - self.played

    def may_begin(self, samples: int) -> bool:
        """Whether sound and motion suffice to play on from here after a pause: `samples` of both, or all there will
        ever be.
        """
        if self.drained:
            return True
        return min(self.ready_until, self.certain_until) >= self.played + samples

    def take(self, samples: int) -> NDArray[np.int16]:
        """Return the next sound, int16 (m,) with m <= samples: less where no more is ready."""
        samples = min(samples, self.playable_samples)
        parts: list[NDArray[np.int16]] = []
        while samples and self._sound:
            part = self._sound.popleft()
            if len(part) > samples:
                self._sound.appendleft(part[samples:])
                part = part[:samples]
            parts.append(part)
            samples -= len(part)
            self.played += len(part)
        return np.concatenate(parts) if parts else np.zeros(0, np.int16)

    def at(self, position: int) -> Instant:
        """Return the motion at `position`; positions never go back by more than a second."""
        while len(self._segments) > 1 and self._segments[1].start <= position:
            self._segments.popleft()
        return self._segments[0].at(position) if self._segments else AT_REST

    def ahead(self, position: int) -> Instant | None:
        """Return the motion at `position`, which is not behind the present, or None while it is not certain; forgets
        nothing.
        """
        if position >= min(self.ready_until, self.certain_until):
            return None
        return next(segment for segment in reversed(self._segments) if segment.start <= position).at(position)

    def mood_at(self, position: int) -> Mood | None:
        """Return the mood in which the sample at `position` is said, None where no mood was given; positions as for
        `at`.
        """
        while len(self._moods) > 1 and self._moods[1][0] <= position - PLAYOUT_RATE_HZ:
            self._moods.popleft()
        return next((mood for start, mood in reversed(self._moods) if start <= position), None)

    def arrived_ns(self, position: int) -> int | None:
        """Return when the sample at `position` came, if it is known; positions never go back."""
        while self._arrivals and self._arrivals[0].until <= position:
            self._arrivals.popleft()
        return self._arrivals[0].at_ns if self._arrivals else None
