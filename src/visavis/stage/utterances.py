"""The queue of utterances: what is said when, where one ends and the next begins, and that each has exactly one end.
Pure.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

import numpy as np

from visavis.engine.speech.port import SpeechToMotion
from visavis.errors import QueueFull
from visavis.stage.port.events import PlaybackFinished, PlaybackStarted
from visavis.stage.port.values import Speech
from visavis.stage.timeline import PLAYOUT_RATE_HZ, SAMPLES_PER_MS, seconds
from visavis.stage.voice import Voice

MAX_QUEUED_S = 600
MAX_QUEUED_UTTERANCES = 4096
IDLE_SAMPLES = 300 * SAMPLES_PER_MS  # an open utterance whose audio has been idle for this long is over


class UtteranceState(Enum):
    QUEUED = "queued"
    PLAYING = "playing"
    FINISHED = "finished"
    INTERRUPTED = "interrupted"


MOVES: dict[UtteranceState, frozenset[UtteranceState]] = {
    UtteranceState.QUEUED: frozenset({UtteranceState.PLAYING, UtteranceState.INTERRUPTED}),
    UtteranceState.PLAYING: frozenset({UtteranceState.FINISHED, UtteranceState.INTERRUPTED}),
    UtteranceState.FINISHED: frozenset(),
    UtteranceState.INTERRUPTED: frozenset(),
}


@dataclass(slots=True, kw_only=True)
class Utterance:
    """`first_number`: of its first piece of speech."""

    utterance_id: str
    first_number: int
    voice: Voice
    last_audio_at: int  # the position of the clock when its last audio came
    waiting_samples: int = 0  # its length at 48 kHz while it waits for its turn; 0 from then on
    state: UtteranceState = UtteranceState.QUEUED

    def move(self, state: UtteranceState) -> None:
        assert state in MOVES[self.state], (self.state, state)
        self.state = state


class Utterances:
    """Every utterance that has not ended yet, in the order in which they are said. The last of them may be open: more
    audio may join it.

    An interrupt overtakes speech that is on its way. Pieces up to its number that come after it are late: nobody hears
    them, and an utterance of late pieces alone ends the moment its first piece comes.
    """

    def __init__(self, open_speech: Callable[[], SpeechToMotion]) -> None:
        self._open_speech = open_speech
        self._waiting: deque[Utterance] = deque()
        self._open: Utterance | None = None
        self._named = 0
        self._dropped_through = 0  # the highest number that an interrupt has dropped
        self._late_id: str | None = None  # the utterance that late pieces without an id belong to
        self._waiting_samples = 0  # of all that wait: kept, not summed, so that a flood of calls stays cheap
        self.current: Utterance | None = None

    def add(self, speech: Speech, *, position: int, now_ns: int) -> str:
        """Queue a piece of speech and return the id of its utterance. Raises `QueueFull`, and then nothing of it is
        queued.
        """
        pcm = np.frombuffer(speech.pcm, dtype="<i2")
        samples = len(pcm) * PLAYOUT_RATE_HZ // speech.sample_rate_hz
        if self.queued_samples + samples > MAX_QUEUED_S * PLAYOUT_RATE_HZ:
            raise QueueFull(
                f"More than {MAX_QUEUED_S} s of speech would be queued",
                suggestion="Send the rest when playback has caught up",
            )
        utterance = self._open
        if utterance is None or speech.utterance_id not in (None, utterance.utterance_id):
            if len(self._waiting) >= MAX_QUEUED_UTTERANCES:
                raise QueueFull(
                    f"More than {MAX_QUEUED_UTTERANCES} utterances would be queued",
                    suggestion="Join short pieces under one utterance_id",
                )
            utterance = self._begin(speech.utterance_id, speech.number, position)
        utterance.voice.add(pcm, speech.sample_rate_hz, now_ns=now_ns, visemes=speech.visemes, mood=speech.mood)
        utterance.last_audio_at = position
        if utterance.state is UtteranceState.QUEUED:
            utterance.waiting_samples += samples
            self._waiting_samples += samples
        if speech.final:
            self._close()
        return utterance.utterance_id

    def is_late(self, number: int) -> bool:
        """Whether an interrupt has dropped the piece of speech with this number before it came."""
        return number <= self._dropped_through

    def add_late(self, *, utterance_id: str | None, final: bool) -> tuple[str, PlaybackFinished | None]:
        """Drop a late piece; return the id of its utterance, and the end of that utterance where this is its first
        piece.
        """
        end = None
        if utterance_id is None:
            utterance_id = self._late_id
        if utterance_id is None or utterance_id != self._late_id:
            utterance_id = utterance_id or self._new_id()
            end = PlaybackFinished(utterance_id=utterance_id, position_s=0.0, interrupted=True)
        self._late_id = None if final else utterance_id
        return utterance_id, end

    def _new_id(self) -> str:
        self._named += 1
        return f"utt_{self._named}"

    def _begin(self, utterance_id: str | None, number: int, position: int) -> Utterance:
        self._close()
        self._late_id = None
        utterance = Utterance(
            utterance_id=utterance_id or self._new_id(),
            first_number=number,
            voice=Voice(self._open_speech),
            last_audio_at=position,
        )
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

    def begin_next(self) -> PlaybackStarted:
        """Make the next utterance the current one. There must be one, and no current one."""
        assert self.current is None
        self.current = self._waiting.popleft()
        self._waiting_samples -= self.current.waiting_samples
        self.current.waiting_samples = 0
        self.current.move(UtteranceState.PLAYING)
        return PlaybackStarted(utterance_id=self.current.utterance_id)

    def finish_current(self) -> PlaybackFinished:
        """The current utterance's last sample has been handed out."""
        utterance = self.current
        assert utterance is not None and utterance.voice.drained
        utterance.move(UtteranceState.FINISHED)
        self.current = None
        return PlaybackFinished(
            utterance_id=utterance.utterance_id, position_s=seconds(utterance.voice.played), interrupted=False
        )

    def interrupt(self, *, through: int, heard_samples: int) -> list[PlaybackFinished]:
        """Drop every utterance that began with a piece up to the number `through`, and what of them is on its way.

        `heard_samples`: of the current utterance, its fade included. The caller sends an interrupt before all speech
        with a higher number; so no utterance is cut in its middle.
        """
        self._dropped_through = max(self._dropped_through, through)
        dropped = [self.current] if self.current and self.current.first_number <= through else []
        dropped += [utterance for utterance in self._waiting if utterance.first_number <= through]
        ends = []
        for utterance in dropped:
            heard = heard_samples if utterance.state is UtteranceState.PLAYING else 0
            utterance.move(UtteranceState.INTERRUPTED)
            end = PlaybackFinished(utterance_id=utterance.utterance_id, position_s=seconds(heard), interrupted=True)
            ends.append(end)
            self._waiting_samples -= utterance.waiting_samples
        self._waiting = deque(u for u in self._waiting if u.state is UtteranceState.QUEUED)
        if self.current and self.current.state is UtteranceState.INTERRUPTED:
            self.current = None
        if self._open and self._open.state is UtteranceState.INTERRUPTED:
            self._late_id, self._open = self._open.utterance_id, None
        return ends

    @property
    def queued_samples(self) -> int:
        """What is still to be heard, at 48 kHz."""
        return self._waiting_samples + (self.current.voice.unplayed_samples if self.current else 0)
