"""What is heard and seen at every instant of a session. Pure: no clock and no I/O; whoever drives it says how far the
sound has come.

The caller takes one block of sound every 20 ms and asks for the face of each frame's instant, in order. Sound never
waits for anything: where an utterance's audio runs out there is silence and the lips go to rest, and both go on when
more comes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visavis.engine.motion.frame import MotionFrame
from visavis.engine.motion.liveliness import REST_MOUTH, Liveliness
from visavis.engine.motion.mood import NEUTRAL, Mood
from visavis.engine.motion.states import SettableState, State
from visavis.engine.speech.port import SpeechToMotion
from visavis.stage.port.events import SpeechEvent, StateChanged
from visavis.stage.port.values import Speech
from visavis.stage.timeline import BLOCK_SAMPLES, SAMPLES_PER_MS, STEP_SAMPLES
from visavis.stage.utterances import Utterance, Utterances
from visavis.stage.voice import AT_REST, Instant, Voice

AHEAD_SAMPLES = 200 * SAMPLES_PER_MS  # sound and motion are made ready this far ahead ...
# ... gaining on the clock by at most this much a block, so that no block does much work
AHEAD_PER_BLOCK = 60 * SAMPLES_PER_MS
DRY_SAMPLES = BLOCK_SAMPLES  # less than this left: the audio has run out
FADE_SAMPLES = 10 * SAMPLES_PER_MS
REST_WITHIN_SAMPLES = 100 * SAMPLES_PER_MS  # lips are at rest this long after speech has run out
# and after an interruption: with a block's and a frame's wait, 120 ms after the call
CUT_WITHIN_SAMPLES = 60 * SAMPLES_PER_MS
RISE_WITHIN_SAMPLES = 60 * SAMPLES_PER_MS  # what is left of the mouth before new speech has gone after this
# what a session waits for at most beyond the look-ahead, so that uneven speech plays evenly
MAX_MARGIN_SAMPLES = 120 * SAMPLES_PER_MS
RAN_OUT_GROWS = 40 * SAMPLES_PER_MS  # by how much the margin grows where the audio ran out and then went on ...
UNCERTAIN_GROWS = 10 * SAMPLES_PER_MS  # ... and for each frame whose motion was not certain in time
REMEMBERED_SAMPLES = 1000 * SAMPLES_PER_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class Face:
    """A frame's motion. `arrived_ns`: when the speech sample of that instant came, where speech is coming in at the
    pace at which it plays.
    """

    motion: MotionFrame
    arrived_ns: int | None


@dataclass(slots=True)
class _Span:
    """From `position` on the clock, what is heard is `voice` from its sample `offset` on; None is silence. Lips change
    over within `within`.
    """

    position: int
    voice: Voice | None
    offset: int
    within: int


class _Lips:
    """Passes the mouth through; when who moves it changes, what it showed eases away under what it shows next, so that
    nothing begins late.
    """

    def __init__(self) -> None:
        self._shown: NDArray[np.float32] = REST_MOUTH
        self._left: NDArray[np.float32] = REST_MOUTH  # what was shown when the source changed
        self._changed_at = 0
        self._within = 1
        self._source: Voice | None = None

    def at(self, position: int, mouth: NDArray[np.float32], span: _Span) -> NDArray[np.float32]:
        if span.voice is not self._source:
            self._source = span.voice
            self._left = self._shown
            self._changed_at = span.position
            self._within = span.within
        passed = (position - self._changed_at) / self._within
        if passed < 1.0:
            mouth = np.maximum(mouth, self._left * np.float32(0.5 + 0.5 * np.cos(np.pi * passed)))
        self._shown = mouth
        return mouth


class Performance:
    """One session's sound and motion. `position` is where the next block begins."""

    def __init__(self, *, seed: int, open_speech: Callable[[], SpeechToMotion]) -> None:
        self.position = 0
        self._utterances = Utterances(open_speech)
        self._liveliness = Liveliness(seed)
        self._lips = _Lips()
        self._spans: deque[_Span] = deque([_Span(0, None, 0, 1)])
        self._events: list[tuple[int, SpeechEvent]] = []  # with the position at which it is true
        self._tail: NDArray[np.int16] | None = None  # the faded end of what was interrupted
        self._paused = True  # the current utterance waits for enough to go on
        # the session's: what is shown where an utterance brings none of its own; set at any time, eased into
        self.mood = NEUTRAL
        self._listens = False  # it listens where it does not speak, rather than idling; set by the client
        self._thinks = False  # until it next speaks; set by the client
        self._state: State = "idle"  # as last told
        # the utterances that began since this was last emptied; None where nobody asks
        self.begun: list[Utterance] | None = None
        self._margin = 0  # learnt from how speech comes in; a little of it is forgotten with every utterance

    # --- speech
    def speak(self, speech: Speech, *, now_ns: int = 0) -> str:
        """Queue a piece of speech and return the id of its utterance. Raises `QueueFull`, and then nothing of it is
        queued. A piece that an interrupt has dropped already is not queued, and is no error.
        """
        if self._utterances.is_late(speech.number):
            utterance_id, end = self._utterances.add_late(utterance_id=speech.utterance_id, final=speech.final)
            if end is not None:
                self._events.append((self.position, end))
            return utterance_id
        return self._utterances.add(speech, position=self.position, now_ns=now_ns)

    def interrupt(self, *, through: int) -> None:
        """Drop all speech up to the piece with the number `through`.

        The next block fades out what is heard; from the next frame on the lips go to rest.
        """
        current = self._utterances.current
        if current is None or current.first_number <= through:
            self._fall_silent()
        heard = 0 if current is None else current.voice.played
        for end in self._utterances.interrupt(through=through, heard_samples=heard):
            self._events.append((self.position, end))

    def _fall_silent(self) -> None:
        current = self._utterances.current
        if current is not None and not self._paused:
            tail = current.voice.take(FADE_SAMPLES)
            if len(tail):
                fade = 0.5 + 0.5 * np.cos(np.pi * np.arange(1, len(tail) + 1) / len(tail))
                self._tail = np.rint(tail * fade).astype(np.int16)
        self._hear(self.position, None, CUT_WITHIN_SAMPLES)
        self._paused = True

    @property
    def queued_samples(self) -> int:
        return self._utterances.queued_samples

    def set_state(self, state: SettableState) -> None:
        """Listen or think wherever nothing is said: listening lasts, thinking until speech begins."""
        self._listens = self._listens or state == "listening"
        self._thinks = state == "thinking"

    @property
    def silent_state(self) -> State:
        """The state wherever nothing is said."""
        return "thinking" if self._thinks else "listening" if self._listens else "idle"

    @property
    def current(self) -> Utterance | None:
        """The utterance that is being said."""
        return self._utterances.current

    @property
    def speaking(self) -> bool:
        return self._utterances.current is not None and not self._paused

    def events(self) -> list[SpeechEvent]:
        """Return what has come true when the block last taken begins to be heard, in order; each is returned once."""
        now = self.position - BLOCK_SAMPLES
        due = [event for at, event in self._events if at <= now]
        self._events = [(at, event) for at, event in self._events if at > now]
        return due

    # --- sound
    def next_block(self) -> NDArray[np.int16]:
        """Return the next 20 ms of sound, int16 (BLOCK_SAMPLES,), and move on."""
        self._utterances.close_if_idle(self.position)
        block = np.zeros(BLOCK_SAMPLES, np.int16)
        filled = 0
        if self._tail is not None:
            block[: len(self._tail)] = self._tail
            self._tail = None
            filled = BLOCK_SAMPLES  # what comes next begins with the next block
        while filled < BLOCK_SAMPLES:
            voice = self._voice_at(self.position + filled)
            if voice is None:
                break
            sound = voice.take(BLOCK_SAMPLES - filled)
            block[filled : filled + len(sound)] = sound
            filled += len(sound)
            if filled < BLOCK_SAMPLES:
                self._run_dry(voice, self.position + filled)
        self._note_state(self.position + filled)
        self.position += BLOCK_SAMPLES
        return block

    def _voice_at(self, position: int) -> Voice | None:
        """Return the voice that is heard from `position` on, if one has enough to be heard."""
        if self._utterances.current is None:
            coming = self._utterances.next()
            if coming is None:
                return None
            enough = BLOCK_SAMPLES + self._margin
            coming.voice.prepare(max(enough, AHEAD_PER_BLOCK))
            if not coming.voice.may_begin(enough):
                return None
            self._margin = self._margin * 31 // 32
            self._events.append((position, self._utterances.begin_next()))
            self._thinks = False
            self._note_state(position)
            if self.begun is not None:
                self.begun.append(coming)
            self._paused = False
            self._hear(position, coming.voice, RISE_WITHIN_SAMPLES)
            return coming.voice
        voice = self._utterances.current.voice
        ready = min(voice.ready_until, voice.certain_until)
        voice.prepare(min(voice.played + AHEAD_SAMPLES, max(ready, voice.played) + AHEAD_PER_BLOCK))
        if self._paused:
            margin = min(MAX_MARGIN_SAMPLES, self._margin + RAN_OUT_GROWS)
            if not voice.may_begin(BLOCK_SAMPLES + margin):
                return None
            if not voice.drained:
                self._margin = margin
            voice.go_on()
            self._paused = False
            self._hear(position, voice, RISE_WITHIN_SAMPLES)
        elif voice.playable_samples < DRY_SAMPLES:
            voice.run_out()
        return voice

    def _note_state(self, position: int) -> None:
        state: State = self.silent_state if self._utterances.current is None else "speaking"
        if state != self._state:
            self._state = state
            self._events.append((position, StateChanged(state=state)))

    def _run_dry(self, voice: Voice, position: int) -> None:
        voice.run_out()
        if voice.playable_samples:  # the last of the sound, which had been held back
            return
        if voice.drained and voice.played == voice.ready_until:
            self._events.append((position, self._utterances.finish_current()))
        self._hear(position, None, REST_WITHIN_SAMPLES)
        self._paused = True

    def _hear(self, position: int, voice: Voice | None, within: int) -> None:
        self._spans.append(_Span(position, voice, voice.played if voice else 0, within))

    # --- picture
    def face(self, position: int) -> Face:
        """Return the face of the instant `position`, which lies in a block that was taken; positions never go back."""
        while len(self._spans) > 1 and self._spans[1].position <= position:
            self._spans.popleft()
        span = self._spans[0]
        instant: Instant = AT_REST
        arrived_ns = None
        if span.voice is not None:
            at = span.offset + position - span.position
            instant = span.voice.at(at)
            if at >= span.voice.certain_until and not span.voice.drained:
                self._margin = min(MAX_MARGIN_SAMPLES, self._margin + UNCERTAIN_GROWS)
            if not span.voice.closed and span.voice.unplayed_samples < REMEMBERED_SAMPLES:
                arrived_ns = span.voice.arrived_ns(at)
        mouth = self._lips.at(position, instant.mouth, span)
        state: State = "speaking" if self.speaking else self.silent_state
        motion = self._liveliness.frame(
            position // STEP_SAMPLES, mouth, instant.cue, state, self._mood_in(span, position)
        )
        return Face(motion=motion, arrived_ns=arrived_ns)

    def _mood_in(self, span: _Span, position: int) -> Mood:
        """Return the mood of what is said at `position`; a pause within an utterance keeps its mood."""
        own = None
        if span.voice is not None:
            own = span.voice.mood_at(span.offset + position - span.position)
        elif self._utterances.current is not None:
            voice = self._utterances.current.voice
            own = voice.mood_at(voice.played)
        return self.mood if own is None else own
