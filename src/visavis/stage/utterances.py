"""The queue of utterances: what is said when, where one ends and the next begins, and that each has exactly one end.
Pure.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from visavis.engine.motion.mood import Mood
from visavis.engine.speech.port import SpeechToMotion
from visavis.errors import QueueFull
from visavis.stage.timeline import PLAYOUT_RATE_HZ, SAMPLES_PER_MS
from visavis.stage.voice import Timings, Voice

MAX_QUEUED_S = 600
MAX_QUEUED_UTTERANCES = 4096
IDLE_SAMPLES = 300 * SAMPLES_PER_MS  # an open utterance whose audio has been idle for this long is over


class State(Enum):
    QUEUED = "queued"
    PLAYING = "playing"
    FINISHED = "finished"
    INTERRUPTED = "interrupted"


MOVES: dict[State, frozenset[State]] = {
    State.QUEUED: frozenset({State.PLAYING, State.INTERRUPTED}),
    State.PLAYING: frozenset({State.FINISHED, State.INTERRUPTED}),
    State.FINISHED: frozenset(),
    State.INTERRUPTED: frozenset(),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    utterance_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """`played_samples` of it were heard, at 48 kHz."""

    utterance_id: str
    played_samples: int
    interrupted: bool


@dataclass(slots=True, kw_only=True)
class Utterance:
    utterance_id: str
    voice: Voice
    last_audio_at: int  # the position of the clock when its last audio came
    waiting_samples: int = 0  # its length at 48 kHz while it waits for its turn; 0 from then on
    state: State = State.QUEUED

    def move(self, state: State) -> None:
        assert state in MOVES[self.state], (self.state, state)
        self.state = state


class Utterances:
    """Every utterance that has not ended yet, in the order in which they are said. The last of them may be open: more
    audio may join it.
    """

    def __init__(self, open_speech: Callable[[], SpeechToMotion]) -> None:
        self._open_speech = open_speech
        self._waiting: deque[Utterance] = deque()
        self._open: Utterance | None = None
        self._named = 0
        self._waiting_samples = 0  # of all that wait: kept, not summed, so that a flood of calls stays cheap
        self.current: Utterance | None = None

    def add(
        self,
        pcm: NDArray[np.int16],
        rate_hz: int,
        *,
        utterance_id: str | None,
        final: bool,
        position: int,
        now_ns: int,
        visemes: Timings | None = None,
        mood: Mood | None = None,
    ) -> str:
        """Queue int16 (n,) and return the id of its utterance. Raises `QueueFull`, and then nothing of this call is
        queued.
        """
        samples = len(pcm) * PLAYOUT_RATE_HZ // rate_hz
        if self.queued_samples + samples > MAX_QUEUED_S * PLAYOUT_RATE_HZ:
            raise QueueFull(
                f"More than {MAX_QUEUED_S} s of speech would be queued",
                suggestion="Send the rest when playback has caught up",
            )
        continues = self._open is not None and utterance_id in (None, self._open.utterance_id)
        if not continues and len(self._waiting) >= MAX_QUEUED_UTTERANCES:
            raise QueueFull(
                f"More than {MAX_QUEUED_UTTERANCES} utterances would be queued",
                suggestion="Join short pieces under one utterance_id",
            )
        utterance = self._open if continues and self._open is not None else self._begin(utterance_id, position)
        utterance.voice.add(pcm, rate_hz, now_ns=now_ns, visemes=visemes, mood=mood)
        utterance.last_audio_at = position
        if utterance.state is State.QUEUED:
            utterance.waiting_samples += samples
            self._waiting_samples += samples
        if final:
            self._close()
        return utterance.utterance_id

    def _begin(self, utterance_id: str | None, position: int) -> Utterance:
        self._close()
        if utterance_id is None:
            self._named += 1
            utterance_id = f"utt_{self._named}"
        utterance = Utterance(utterance_id=utterance_id, voice=Voice(self._open_speech), last_audio_at=position)
        self._waiting.append(utterance)
        self._open = utterance
        return utterance

    def _close(self) -> None:
        if self._open is not None:
            self._open.voice.close()
            self._open = None

    def close_if_idle(self, position: int) -> None:
        """End the open utterance once its audio has been idle for 300 ms."""
        if self._open is not None and position - self._open.last_audio_at >= IDLE_SAMPLES:
            self._close()

    def next(self) -> Utterance | None:
        """Return the utterance that would be played after the current one; it stays where it is."""
        return self._waiting[0] if self._waiting else None

    def begin_next(self) -> Started:
        """Make the next utterance the current one. There must be one, and no current one."""
        assert self.current is None
        self.current = self._waiting.popleft()
        self._waiting_samples -= self.current.waiting_samples
        self.current.waiting_samples = 0
        self.current.move(State.PLAYING)
        return Started(utterance_id=self.current.utterance_id)

    def finish_current(self) -> Ended:
        """The current utterance's last sample has been handed out."""
        utterance = self.current
        assert utterance is not None and utterance.voice.drained
        utterance.move(State.FINISHED)
        self.current = None
        return Ended(utterance_id=utterance.utterance_id, played_samples=utterance.voice.played, interrupted=False)

    def interrupt(self, *, heard_samples: int) -> list[Ended]:
        """Drop everything; `heard_samples` of the current utterance are heard in all, its fade included."""
        dropped = ([self.current] if self.current else []) + list(self._waiting)
        ends = []
        for utterance in dropped:
            heard = heard_samples if utterance.state is State.PLAYING else 0
            utterance.move(State.INTERRUPTED)
            ends.append(Ended(utterance_id=utterance.utterance_id, played_samples=heard, interrupted=True))
        self._waiting.clear()
        self._waiting_samples = 0
        self.current = self._open = None
        return ends

    @property
    def queued_samples(self) -> int:
        """What is still to be heard, at 48 kHz."""
        return self._waiting_samples + (self.current.voice.unplayed_samples if self.current else 0)
