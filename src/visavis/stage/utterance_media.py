"""One utterance's sound and motion: PCM in at any rate; 48 kHz sound and the mouth of any instant out. Pure.

Audio is stored as it came. It becomes sound and motion shortly before it is played, so that ten minutes of speech sent
at once cost memory but no stall. A `segment` is an unbroken run of audio at one rate: it ends with the utterance, at a
change of rate, or at an underrun (the audio ran out before more came). At an underrun the sound fades out and later in,
so that it does not click; no sample is lost, and positions go on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil

import numpy as np
from numpy.typing import NDArray

from visavis.engine.motion.frame import SpeechMotion
from visavis.engine.motion.liveliness import REST_MOUTH, SILENCE, Cue
from visavis.engine.motion.mood import Mood
from visavis.engine.speech.port import SPEECH_RATE_HZ, SpeechToMotion
from visavis.engine.speech.timed import TimedSpeech, TimedViseme
from visavis.stage.resampler import Resampler
from visavis.stage.timeline import PLAYOUT_RATE_HZ, SAMPLES_PER_MS, STEP_SAMPLES
from visavis.stage.utterance_times import UtteranceTimes

# How much audio is processed at once. 160 ms cost 0.6 times as much as the same audio in pieces of 40 ms, and 80 ms 0.7
# times, because each piece costs some hundred calls, and the network's weights stay in the cache. Large pieces are used
# only while enough media is ready to bridge the work.
PIECE_MS, LARGE_PIECE_MS, LARGEST_PIECE_MS = 40, 80, 160
LARGE_PIECE_READY_SAMPLES = 100 * SAMPLES_PER_MS
EDGE_SAMPLES = 5 * SAMPLES_PER_MS  # how long the sound fades before and after the silence of an underrun
_EDGE = (0.5 - 0.5 * np.cos(np.pi * np.arange(1, EDGE_SAMPLES + 1) / (EDGE_SAMPLES + 1))).astype(np.float32)  # rising
KEPT_ARRIVALS_SAMPLES = PLAYOUT_RATE_HZ  # frames are drawn at most so much later than their sound is taken
KEPT_STEPS = 100  # rows of motion before the present that are kept when older ones are deleted

Timings = tuple[TimedViseme, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MotionStep:
    """The motion that speech gives for one instant. `mouth`: float32 (MOUTH_COUNT,)."""

    mouth: NDArray[np.float32]
    cue: Cue


AT_REST = MotionStep(mouth=REST_MOUTH, cue=SILENCE)


class _Segment:
    """An unbroken run of audio at one rate. Positions are 48 kHz samples since the utterance began."""

    def __init__(self, *, start: int, rate_hz: int, speech: TimedSpeech) -> None:
        self.start = start
        self.rate_hz = rate_hz
        self._speech = speech
        self._pushed = 0  # samples at rate_hz
        self._to_playout = Resampler(rate_hz, PLAYOUT_RATE_HZ)
        self._to_speech = Resampler(rate_hz, SPEECH_RATE_HZ)
        self.finished = False
        self.rows = SpeechMotion.concatenate([])
        self.deleted_rows = 0  # how many rows before `rows` were deleted

    @property
    def length(self) -> Fraction:
        """The exact length of its audio so far, in samples at 48 kHz."""
        return Fraction(self._pushed * PLAYOUT_RATE_HZ, self.rate_hz)

    @property
    def certain_until(self) -> int:
        return self.start + (self.deleted_rows + len(self.rows)) * STEP_SAMPLES

    def expect(self, visemes: Sequence[TimedViseme], *, samples: int) -> None:
        """Set the visemes of the next `samples` (at the segment's rate), with times from the first of these samples."""
        to_speech = SPEECH_RATE_HZ / self.rate_hz
        self._speech.expect(visemes, start_sample=self._pushed * to_speech, samples=samples * to_speech)

    def push(self, pcm: NDArray[np.int16]) -> NDArray[np.int16]:
        self._pushed += len(pcm)
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

    def motion_at(self, position: int) -> MotionStep:
        """Return the motion at `position`, or the newest that is certain."""
        row = (position - self.start) // STEP_SAMPLES - self.deleted_rows
        if not len(self.rows):
            return AT_REST
        row = max(0, min(row, len(self.rows) - 1))
        rows = self.rows
        cue = Cue(rest=float(rows.rest[row]), loudness=float(rows.loudness[row]), stress=float(rows.stress[row]))
        if row > 2 * KEPT_STEPS:
            self.rows, self.deleted_rows = rows[row - KEPT_STEPS :], self.deleted_rows + row - KEPT_STEPS
        return MotionStep(mouth=rows.mouth[row], cue=cue)


@dataclass(slots=True)
class _Piece:
    """The audio of one call of `add` that is not yet processed."""

    pcm: NDArray[np.int16]
    rate_hz: int
    visemes: Timings | None  # of the whole piece, if the client sent timings
    mood: Mood | None  # from the first sample on
    processed: int = 0  # samples of it that have become sound and motion
    announced_to: _Segment | None = None  # the segment that has its visemes


@dataclass(slots=True)
class _Arrival:
    until: int  # the position up to which this call's audio reaches
    at_ns: int


class UtteranceMedia:
    """One utterance's sound and motion. The speech-to-motion is opened when the first audio is processed, so that
    waiting utterances need none.
    """

    def __init__(self, open_speech: Callable[[], SpeechToMotion], *, begin: int = 0, mood: Mood | None = None) -> None:
        """`begin`: where its audio begins, above 0 if another stage has played what was before; then it fades in.
        `mood`: from there on.
        """
        self._open_speech = open_speech
        self._speech: TimedSpeech | None = None
        self._begin = begin
        self._pieces: deque[_Piece] = deque()  # not yet processed
        self._pieces_length = Fraction(0)  # the exact length of _pieces, in samples at 48 kHz
        self._segments: deque[_Segment] = deque()
        self._sound: deque[NDArray[np.int16]] = deque()
        self._arrivals: deque[_Arrival] = deque()
        self._moods: deque[tuple[int, Mood]] = deque()  # each with the position from which it applies
        if mood is not None:
            self._moods.append((begin, mood))
        self._received = Fraction(begin)  # the exact length of all audio so far, in samples at 48 kHz
        self.ready_until = begin  # sound is ready up to this position
        self.played = begin
        # set at an underrun: later audio waits until there is enough of it to resume
        self._stop_at: int | None = None
        self.times = UtteranceTimes()
        self._resumed_at = begin or None  # where the sound fades in after the last underrun
        self._finished_length = Fraction(begin)  # the exact length of all finished segments, at 48 kHz
        self.closed = False  # no more audio will come
        self.drained = False  # closed, and all audio has become sound and motion

    # --- input
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
        length = Fraction(len(pcm) * PLAYOUT_RATE_HZ, rate_hz)
        self._pieces.append(_Piece(pcm, rate_hz, visemes, mood))
        self._pieces_length += length
        self._received += length
        self._arrivals.append(_Arrival(until=self.received_samples, at_ns=now_ns))

    def close(self) -> None:
        self.closed = True

    @property
    def received_samples(self) -> int:
        """How much audio has come, at 48 kHz."""
        return int(self._received)

    @property
    def unplayed_samples(self) -> int:
        return max(0, int(self._pieces_length) + self.ready_until - self.played)

    # --- processing
    def prepare(self, until: int) -> None:
        """Process audio until both sound and motion are ready up to `until`, or no audio is left."""
        while self._pieces and (ready := min(self.ready_until, self.certain_until)) < until:
            piece = self._pieces[0]
            large = ready - self.played >= LARGE_PIECE_READY_SAMPLES
            if large:
                self._join_small_pieces(piece)
            enough = piece.rate_hz * LARGE_PIECE_MS // 1000
            if large and len(piece.pcm) < enough and piece is self._pieces[-1] and not self.closed:
                break  # there is time to wait for more audio
            max_samples = piece.rate_hz * (LARGEST_PIECE_MS if large else PIECE_MS) // 1000
            pcm = piece.pcm[:max_samples]
            self._pieces_length -= Fraction(len(pcm) * PLAYOUT_RATE_HZ, piece.rate_hz)
            self._ensure_segment(piece.rate_hz)
            self._announce(piece, self._segments[-1])
            self._append(self._segments[-1].push(pcm))
            piece.pcm, piece.processed = piece.pcm[max_samples:], piece.processed + len(pcm)
            if not len(piece.pcm):
                self._pieces.popleft()
        if not self._pieces and self.closed and not self.drained:
            self._finish_segment()
            self.drained = True

    def _join_small_pieces(self, piece: _Piece) -> None:
        """Append the following pieces to the first one, up to the largest piece. Stops at a piece with timings, another
        rate or another mood.
        """
        max_samples = piece.rate_hz * LARGEST_PIECE_MS // 1000
        while len(piece.pcm) < max_samples and len(self._pieces) > 1:
            following = self._pieces[1]
            timed = piece.visemes is not None or following.visemes is not None
            if timed or following.rate_hz != piece.rate_hz or following.mood not in (None, piece.mood):
                return
            piece.pcm = np.concatenate([piece.pcm, following.pcm])
            del self._pieces[1]

    def _announce(self, piece: _Piece, segment: _Segment) -> None:
        """Note the mood and the visemes of a piece before its audio is processed."""
        if piece.mood is not None and not piece.processed and (not self._moods or self._moods[-1][1] != piece.mood):
            self._moods.append((self.ready_until, piece.mood))
        if piece.visemes is not None and piece.announced_to is not segment:
            piece.announced_to = segment
            processed_ms = piece.processed * 1000 / piece.rate_hz
            remaining = [
                TimedViseme(v.viseme, max(0.0, v.start_ms - processed_ms), v.end_ms - processed_ms)
                for v in piece.visemes
                if v.end_ms > processed_ms
            ]
            segment.expect(remaining, samples=len(piece.pcm))

    def flush_and_stop(self) -> None:
        """Handle an underrun: release the sound and motion that were held back for audio that has not come in time, and
        stop playback after them.
        """
        if self._stop_at is None and not self.drained:
            self._finish_segment()
            self._stop_at = self.ready_until

    def release(self) -> bool:
        """Make all audio that has come playable, because no more comes soon; return whether there is any."""
        if not self._pieces:
            self._finish_segment()
        return not self._pieces and self.ready_until > self.played

    def resume(self) -> None:
        """Resume playback after an underrun."""
        self._stop_at = None
        self._resumed_at = self.played

    def _finish_segment(self) -> None:
        """Finish the open segment, if any. A segment may be a fraction of a sample longer than its audio, so the last
        one is dropped where these fractions add up: the utterance keeps its exact length.
        """
        if self._segments and not self._segments[-1].finished:
            segment = self._segments[-1]
            tail = segment.finish()
            self._finished_length += segment.length
            self._append(tail[: max(0, ceil(self._finished_length) - self.ready_until)])

    def _ensure_segment(self, rate_hz: int) -> None:
        """Start a new segment unless the last one is open and has this rate."""
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

    # --- output
    @property
    def certain_until(self) -> int:
        """The position up to which motion is certain."""
        return self._segments[-1].certain_until if self._segments else self._begin

    @property
    def playable_samples(self) -> int:
        """How much sound `take` can return now."""
        return (self.ready_until if self._stop_at is None else self._stop_at) - self.played

    def can_play(self, samples: int) -> bool:
        """Whether sound and motion of the next `samples` are ready, or all that the utterance will ever have."""
        if self.drained:
            return True
        return min(self.ready_until, self.certain_until) >= self.played + samples

    def take(self, samples: int) -> NDArray[np.int16]:
        """Return the next sound, int16 (m,) with m <= samples: less if less is ready."""
        samples = min(samples, self.playable_samples)
        begin = self.played
        parts: list[NDArray[np.int16]] = []
        while samples and self._sound:
            part = self._sound.popleft()
            if len(part) > samples:
                self._sound.appendleft(part[samples:])
                part = part[:samples]
            parts.append(part)
            samples -= len(part)
            self.played += len(part)
        while self._arrivals and self._arrivals[0].until <= self.played - KEPT_ARRIVALS_SAMPLES:
            self._arrivals.popleft()  # also where nobody asks for them
        sound = np.concatenate(parts) if parts else np.zeros(0, np.int16)
        return self._fade_edges(sound, begin)

    def _fade_edges(self, sound: NDArray[np.int16], begin: int) -> NDArray[np.int16]:
        """Return the sound from position `begin` on, faded where it is next to the silence of an underrun."""
        if self._resumed_at is not None and (passed := begin - self._resumed_at) < EDGE_SAMPLES:
            count = min(EDGE_SAMPLES - passed, len(sound))
            faded = np.rint(sound[:count] * _EDGE[passed : passed + count]).astype(np.int16)
            sound = np.concatenate([faded, sound[count:]])
        if self._stop_at is not None and (left := self._stop_at - begin - len(sound)) < EDGE_SAMPLES:
            count = min(EDGE_SAMPLES - left, len(sound))
            falling = _EDGE[::-1][EDGE_SAMPLES - left - count : EDGE_SAMPLES - left]
            faded = np.rint(sound[len(sound) - count :] * falling).astype(np.int16)
            sound = np.concatenate([sound[: len(sound) - count], faded])
        return sound

    def motion_at(self, position: int) -> MotionStep:
        """Return the motion at `position`. Positions of later calls may be at most one second lower."""
        while len(self._segments) > 1 and self._segments[1].start <= position:
            self._segments.popleft()
        return self._segments[0].motion_at(position) if self._segments else AT_REST

    def certain_motion_at(self, position: int) -> MotionStep | None:
        """Return the motion at `position`, which is not before the present; None while it is not certain. Unlike
        `motion_at` it deletes no older segments.
        """
        if position >= min(self.ready_until, self.certain_until):
            return None
        return next(segment for segment in reversed(self._segments) if segment.start <= position).motion_at(position)

    def mood_at(self, position: int) -> Mood | None:
        """Return the mood of the sample at `position`, None if it has none. Positions as for `motion_at`."""
        while len(self._moods) > 1 and self._moods[1][0] <= position - PLAYOUT_RATE_HZ:
            self._moods.popleft()
        return next((mood for start, mood in reversed(self._moods) if start <= position), None)

    def arrived_ns(self, position: int) -> int | None:
        """Return when the sample at `position` arrived, None if that is unknown. Positions never decrease."""
        while self._arrivals and self._arrivals[0].until <= position:
            self._arrivals.popleft()
        return self._arrivals[0].at_ns or None if self._arrivals else None
