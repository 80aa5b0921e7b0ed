"""The sound and the face of a session at every instant. Pure: no clock and no I/O.

The caller takes one block of sound every 20 ms, and asks for the face at the instant of each frame, in order. Sound
never waits: at an underrun (an utterance's audio runs out before more comes) there is silence and the lips go to rest;
both resume when more audio comes. Where the pause is long, the avatar rests: its state is that of the time without
speech until the utterance goes on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from visavis.engine.motion.frame import MotionFrame
from visavis.engine.motion.liveliness import REST_MOUTH, Liveliness
from visavis.engine.motion.mood import NEUTRAL, Mood
from visavis.engine.motion.states import AvatarState, SettableState
from visavis.engine.speech.port import SpeechToMotion
from visavis.stage.port.events import PlaybackProgress, SpeechEvent, StateChanged
from visavis.stage.port.held import HeldUtterance
from visavis.stage.port.so_far import PerformanceSoFar
from visavis.stage.port.values import PerformanceSpec, Speech, Spoken
from visavis.stage.timeline import BLOCK_SAMPLES, SAMPLES_PER_MS, STEP_SAMPLES, seconds
from visavis.stage.utterance_media import AT_REST, EDGE_SAMPLES, MotionStep, UtteranceMedia
from visavis.stage.utterance_times import UtteranceTimes
from visavis.stage.utterances import IDLE_SAMPLES, Utterance, Utterances

AHEAD_SAMPLES = 200 * SAMPLES_PER_MS  # sound and motion are prepared this far ahead ...
# ... but each block adds at most this much, so that no block does much work
AHEAD_PER_BLOCK = 60 * SAMPLES_PER_MS
UNDERRUN_SAMPLES = BLOCK_SAMPLES + EDGE_SAMPLES  # with less sound left than this, an underrun begins
FADE_SAMPLES = 10 * SAMPLES_PER_MS
# How long the mouth takes to ease from one source of motion to the next:
REST_EASE_SAMPLES = 100 * SAMPLES_PER_MS  # to rest, after an utterance or at an underrun
INTERRUPT_EASE_SAMPLES = 60 * SAMPLES_PER_MS  # to rest, at an interrupt: at most 120 ms after the call, waits included
START_EASE_SAMPLES = 60 * SAMPLES_PER_MS  # to new speech
# A flood of tiny utterances must not fill a block with work: each start of speech costs as much as a long piece of it.
MAX_STARTS_PER_BLOCK = 2
EMPTY_STARTS_PER_START = 32  # an utterance without sound costs little
# The margin is extra audio that a session waits for before it plays, so that speech that comes unevenly plays evenly.
MAX_MARGIN_SAMPLES = 120 * SAMPLES_PER_MS
UNDERRUN_MARGIN_SAMPLES = 40 * SAMPLES_PER_MS  # the margin grows by this after each underrun ...
UNCERTAIN_MARGIN_SAMPLES = 10 * SAMPLES_PER_MS  # ... and by this for each frame whose motion was not certain in time
# From the first packets to a viewer to the first word that was held for it: what a browser needs to begin to play.
SETTLE_SAMPLES = 300 * SAMPLES_PER_MS
LAST_NUMBER = 2**63 - 1  # above that of every piece of speech
# The delay of speech is measured while less than this waits to be played, so that it is the delay of live speech.
LIVE_BACKLOG_SAMPLES = 1000 * SAMPLES_PER_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class Face:
    """A frame's motion. `arrived_ns`: when the speech sample of that instant arrived; None unless speech is live, that
    is, it arrives about as fast as it plays. `times`: those of the utterance that is spoken at that instant.
    """

    motion: MotionFrame
    arrived_ns: int | None
    times: UtteranceTimes | None


@dataclass(slots=True)
class _Span:
    """From `position` on, the clock plays `media` from its sample `offset` on; None is silence. The mouth eases from
    the previous span within `ease_samples`.
    """

    position: int
    media: UtteranceMedia | None
    offset: int
    ease_samples: int


class _MouthEasing:
    """Eases the mouth when its source changes: the old mouth fades out, and the new one shows at once wherever it is
    larger. So new speech never begins late.
    """

    def __init__(self) -> None:
        self._shown: NDArray[np.float32] = REST_MOUTH
        self._old: NDArray[np.float32] = REST_MOUTH  # the mouth when the source changed
        self._changed_at = 0
        self._ease_samples = 1
        self._source: UtteranceMedia | None = None

    def ease(self, position: int, mouth: NDArray[np.float32], span: _Span) -> NDArray[np.float32]:
        if span.media is not self._source:
            self._source = span.media
            self._old = self._shown
            self._changed_at = span.position
            self._ease_samples = span.ease_samples
        passed = (position - self._changed_at) / self._ease_samples
        if passed < 1.0:
            mouth = np.maximum(mouth, self._old * np.float32(0.5 + 0.5 * np.cos(np.pi * passed)))
        self._shown = mouth
        return mouth


class Performance:
    """One session's sound and motion. `position` is where the next block begins; the first one may begin above 0."""

    def __init__(self, *, seed: int, open_speech: Callable[[], SpeechToMotion], position: int = 0) -> None:
        self.position = self._begin = position
        self._utterances = Utterances(open_speech)
        self._liveliness = Liveliness(seed)
        self._mouth_easing = _MouthEasing()
        self._spans: deque[_Span] = deque([_Span(position, None, 0, 1)])
        self._events: list[tuple[int, SpeechEvent]] = []  # each with the position at which it happens
        self._fade_out: NDArray[np.int16] | None = None  # the faded end of interrupted sound, for the next block
        self._paused = True  # no utterance plays: there is none, or it waits for enough audio
        self._paused_at = position  # where the last pause began
        self._hold_until = 0  # no utterance begins before, and none goes on after a pause
        self._halted = False  # by `pause`: no utterance begins or goes on
        self._resumed = False  # by `resume`, until an utterance plays again
        # the session's mood, for utterances without one of their own; may be set at any time, and the face eases to it
        self.mood = NEUTRAL
        self._listening = False  # while not speaking, listen instead of idling; set by the client
        self._thinking = False  # until the next speech; set by the client
        self._state: AvatarState = "idle"  # of the last StateChanged
        # the utterances that have started since the reader last emptied the list; None without a reader
        self.started: list[Utterance] | None = None
        self._starts_left = float(MAX_STARTS_PER_BLOCK)  # of utterances in the block that is being made
        self._margin_samples = 0  # grows when speech comes unevenly, and shrinks a little with every utterance
        self.underruns = 0  # so far

    # --- speech
    def speak(self, speech: Speech, *, now_ns: int = 0, may_be_late: bool = True) -> Spoken:
        """Queue a piece of speech. A piece that an interrupt has already dropped is not queued. `may_be_late`: False
        for speech that no interrupt can overtake. Raises `QueueFull`; then nothing is queued.
        """
        if may_be_late and self._utterances.is_late(speech.number):
            spoken, end = self._utterances.drop_late(speech)
            if end is not None:
                self._events.append((self.position, end))
        else:
            spoken = self._utterances.add(speech, position=self.position, now_ns=now_ns)
        return msgspec.structs.replace(spoken, queued_s=round(seconds(self.queued_samples), 3))

    def go_on(self, so_far: PerformanceSoFar, *, now_ns: int) -> None:
        """Go on with what another stage has performed. Nothing has been spoken here before."""
        self._listening, self._thinking, self._state = so_far.listening, so_far.thinking, so_far.state
        self._events += [
            (self.position, end) for end in self._utterances.go_on(so_far, position=self.position, now_ns=now_ns)
        ]

    def so_far(self, spec: PerformanceSpec, *, most_bytes: int) -> PerformanceSoFar:
        """Return what another stage needs to go on with this performance. Speech beyond `most_bytes` is left out."""
        return msgspec.structs.replace(
            self._utterances.so_far(spec, most_bytes=most_bytes),
            state=self._state,
            listening=self._listening,
            thinking=self._thinking,
            hold_s=max(0.0, seconds(self._hold_until - self.position)),
        )

    def take_progress(self) -> PlaybackProgress | None:
        """Return how much of the current utterance was played; None if that was returned before."""
        current = self._utterances.current
        if current is None or current.told_samples == current.media.played:
            return None
        current.told_samples = current.media.played
        current.kept.played(current.media.played)
        return PlaybackProgress(utterance_id=current.utterance_id, played_samples=current.media.played)

    def hold(self, samples: int) -> None:
        """Begin no utterance, and go on with none after a pause, for as long as `samples` last or until a viewer has
        come.
        """
        self._hold_until = self.position + samples

    def viewer_came(self) -> None:
        """A viewer has begun to receive media: speech that was held for it begins in a moment."""
        self._hold_until = min(self._hold_until, self.position + SETTLE_SAMPLES)

    def stops_sound(self, *, through: int) -> bool:
        """Whether an interrupt of all speech up to `through` stops what plays: False if that was sent after it."""
        current = self._utterances.current
        return current is None or current.first_number <= through

    def interrupt(self, *, through: int, unheard_from: int | None = None) -> None:
        """Drop all speech up to the piece with the number `through`. `unheard_from`: the position of the first sample
        that was taken but dropped on its way to the viewers; it does not count as played.

        The next block fades the sound out. From the next frame on the lips go to rest.
        """
        self._halted = False
        current = self._utterances.current
        unheard = 0 if unheard_from is None or current is None else self._taken_since(unheard_from, current.media)
        if self.stops_sound(through=through):
            self._stop_sound()
        played = 0 if current is None else current.media.played - unheard
        for end in self._utterances.interrupt(through=through, played_samples=played):
            self._events.append((self.position, end))

    def pause(self) -> bool:
        """Stop speaking until `resume` or an interrupt: the next block fades the sound out, and no sample is lost. No
        effect where nothing is to be said. Return whether sound stops.
        """
        if self._halted or self.head is None:
            return False
        self._halted = True
        if self._paused:
            return False
        self._stop_sound()
        return True

    def resume(self) -> None:
        """Go on with the first sample that was not played."""
        self._resumed = self._halted
        self._halted = False

    def end(self) -> list[SpeechEvent]:
        """End every utterance; return these ends and all other events that have not been returned. Idempotent."""
        current = self._utterances.current
        played = 0 if current is None else current.media.played
        ends = self._utterances.interrupt(through=LAST_NUMBER, played_samples=played)
        before = [*self._utterances.take_cut_samples(), *(event for _, event in self._events)]
        self._events.clear()
        return [*before, *ends]

    def _taken_since(self, position: int, media: UtteranceMedia) -> int:
        """Return how many samples of `media` the blocks from `position` on contain."""
        ends = [*(span.position for span in self._spans), self.position][1:]
        return sum(
            max(0, end - max(span.position, position))
            for span, end in zip(self._spans, ends, strict=True)
            if span.media is media
        )

    def forget_numbers(self) -> None:
        """Let the numbers of speech begin anew: another server owns the session now, and counts from 1."""
        self._utterances.forget_numbers()

    def _stop_sound(self) -> None:
        current = self._utterances.current
        if current is not None and not self._paused:
            sound = current.media.take(FADE_SAMPLES)
            if len(sound):
                fade = 0.5 + 0.5 * np.cos(np.pi * np.arange(1, len(sound) + 1) / len(sound))
                self._fade_out = np.rint(sound * fade).astype(np.int16)
        self._pause(self.position, INTERRUPT_EASE_SAMPLES)

    @property
    def queued_samples(self) -> int:
        return self._utterances.queued_samples

    def set_state(self, state: SettableState) -> None:
        """Set the state for the time without speech: "listening" lasts, "thinking" ends when the next speech starts."""
        self._listening = self._listening or state == "listening"
        self._thinking = state == "thinking"

    @property
    def silent_state(self) -> AvatarState:
        """The state while the avatar does not speak."""
        return "thinking" if self._thinking else "listening" if self._listening else "idle"

    @property
    def state(self) -> AvatarState:
        """The state of the last `StateChanged`."""
        return self._state

    def held_utterances(self) -> tuple[HeldUtterance, ...]:
        """Return the utterances that have not ended."""
        return self._utterances.held()

    @property
    def current(self) -> Utterance | None:
        """The utterance that is being played."""
        return self._utterances.current

    @property
    def head(self) -> Utterance | None:
        """The utterance that is being played, or else the one that is next."""
        return self._utterances.current or self._utterances.peek_next()

    def take_ended(self) -> list[Utterance]:
        """Return the utterances that have ended since the last call."""
        return self._utterances.take_ended()

    @property
    def speaking(self) -> bool:
        return self._utterances.current is not None and not self._paused

    def events(self) -> list[SpeechEvent]:
        """Return the events up to the start of the block that was last taken, in order, each once."""
        now = self.position - BLOCK_SAMPLES
        due: list[SpeechEvent] = [*self._utterances.take_cut_samples()]
        due += [event for at, event in self._events if at <= now]
        self._events = [(at, event) for at, event in self._events if at > now]
        return due

    # --- sound
    def next_block(self) -> NDArray[np.int16]:
        """Return the next 20 ms of sound, int16 (BLOCK_SAMPLES,), and advance `position`."""
        self._utterances.close_if_idle(self.position)
        block = np.zeros(BLOCK_SAMPLES, np.int16)
        filled = 0
        self._starts_left = float(MAX_STARTS_PER_BLOCK)
        if self._fade_out is not None:
            block[: len(self._fade_out)] = self._fade_out
            self._fade_out = None
            filled = BLOCK_SAMPLES  # the next utterance starts with the next block
        while filled < BLOCK_SAMPLES:
            media = self._media_at(self.position + filled)
            if media is None:
                break
            sound = media.take(BLOCK_SAMPLES - filled)
            block[filled : filled + len(sound)] = sound
            filled += len(sound)
            if filled < BLOCK_SAMPLES:
                self._finish_or_pause(media, self.position + filled)
        self._update_state(self.position + filled)
        self.position += BLOCK_SAMPLES
        return block

    def _media_at(self, position: int) -> UtteranceMedia | None:
        """Return the media that play from `position` on, None if there is not enough to play. Starts the next
        utterance, or resumes after an underrun.
        """
        if self._utterances.current is None:
            coming = self._utterances.peek_next()
            if coming is None or self._halted or self._starts_left <= 0 or position < self._hold_until:
                return None
            media, enough = coming.media, BLOCK_SAMPLES + self._margin_samples
            media.prepare(media.played + max(enough, AHEAD_PER_BLOCK))
            if not self._can_play(coming, enough, position):
                return None
            self._starts_left -= 1 if coming.media.unplayed_samples else 1 / EMPTY_STARTS_PER_START
            self._margin_samples = self._margin_samples * 31 // 32
            self._thinking = False
            self._events.append((position, self._utterances.start_next()))
            if self.started is not None:
                self.started.append(coming)
            self._play(media, position)
            return media
        media = self._utterances.current.media
        ready = min(media.ready_until, media.certain_until)
        media.prepare(min(media.played + AHEAD_SAMPLES, max(ready, media.played) + AHEAD_PER_BLOCK))
        if self._paused:
            if media.drained and media.played == media.ready_until:
                self._events.append((position, self._utterances.finish_current()))
                return self._media_at(position)
            if self._halted or position < self._hold_until:
                return None
            margin = self._margin_samples
            if not self._resumed and not self._resting(position):
                margin = min(MAX_MARGIN_SAMPLES, margin + UNDERRUN_MARGIN_SAMPLES)
            if not self._can_play(self._utterances.current, BLOCK_SAMPLES + margin, position):
                return None
            if not media.drained:
                self._margin_samples = margin
            media.resume()
            self._play(media, position)
        elif media.playable_samples < UNDERRUN_SAMPLES:
            media.flush_and_stop()
        return media

    def _can_play(self, utterance: Utterance, samples: int, position: int) -> bool:
        """Whether this much of an utterance can be played, or all that has come if its sender pauses."""
        if utterance.media.can_play(samples):
            return True
        return self._utterances.is_idle(utterance, position) and utterance.media.release()

    def _play(self, media: UtteranceMedia, position: int) -> None:
        """Begin the current utterance, or go on with it after a pause."""
        if self._resting(position):
            self._thinking = False
        self._paused = self._resumed = False
        self._update_state(position)
        self._start_span(position, media, START_EASE_SAMPLES)
        if media.playable_samples < UNDERRUN_SAMPLES:
            media.flush_and_stop()

    def _pause(self, position: int, ease_samples: int) -> None:
        self._start_span(position, None, ease_samples)
        self._paused, self._paused_at = True, position

    def _resting(self, position: int) -> bool:
        """Whether no utterance plays, or the current one has been silent for so long that the avatar rests."""
        return self._paused and (self._utterances.current is None or position - self._paused_at >= IDLE_SAMPLES)

    def _update_state(self, position: int) -> None:
        state: AvatarState = self.silent_state if self._resting(position) else "speaking"
        if state != self._state:
            self._state = state
            self._events.append((position, StateChanged(state=state)))

    def _finish_or_pause(self, media: UtteranceMedia, position: int) -> None:
        """No sound is left: finish the utterance if it is complete, otherwise pause until more audio comes."""
        media.flush_and_stop()
        if media.playable_samples:  # the last of the sound, which had been held back
            return
        if media.drained and media.played == media.ready_until:
            self._events.append((position, self._utterances.finish_current()))
        else:
            self.underruns += 1
        self._pause(position, REST_EASE_SAMPLES)

    def _start_span(self, position: int, media: UtteranceMedia | None, ease_samples: int) -> None:
        self._spans.append(_Span(position, media, media.played if media else 0, ease_samples))
        if media is not None and media.times.started_at is None:
            media.times.started_at = position

    # --- picture
    def face(self, position: int) -> Face:
        """Return the face at `position`, which lies in a block that was taken. Positions never decrease."""
        while len(self._spans) > 1 and self._spans[1].position <= position:
            self._spans.popleft()
        span = self._spans[0]
        step: MotionStep = AT_REST
        arrived_ns = times = None
        if span.media is not None:
            times = span.media.times
            at = span.offset + position - span.position
            step = span.media.motion_at(at)
            if at >= span.media.certain_until and not span.media.drained:
                self._margin_samples = min(MAX_MARGIN_SAMPLES, self._margin_samples + UNCERTAIN_MARGIN_SAMPLES)
            if not span.media.closed and span.media.unplayed_samples < LIVE_BACKLOG_SAMPLES:
                arrived_ns = span.media.arrived_ns(at)
        mouth = self._mouth_easing.ease(position, step.mouth, span)
        state: AvatarState = "speaking" if self.speaking else self.silent_state
        step_number = (position - self._begin) // STEP_SAMPLES
        motion = self._liveliness.frame(step_number, mouth, step.cue, state, self._mood_at(span, position))
        return Face(motion=motion, arrived_ns=arrived_ns, times=times)

    def _mood_at(self, span: _Span, position: int) -> Mood:
        """Return the mood of the speech at `position`, or the session's. A pause within an utterance keeps its mood."""
        own = None
        if span.media is not None:
            own = span.media.mood_at(span.offset + position - span.position)
        elif self._utterances.current is not None:
            media = self._utterances.current.media
            own = media.mood_at(media.played)
        return self.mood if own is None else own
