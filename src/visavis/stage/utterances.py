"""The queue of utterances: which piece of speech belongs to which utterance, in which order they are played, and that
each has exactly one end. Pure.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

import msgspec
import numpy as np
from numpy.typing import NDArray

from visavis.engine.speech.port import SpeechToMotion
from visavis.errors import QueueFull
from visavis.stage.kept_utterance import KeptUtterance
from visavis.stage.port.events import PlaybackFinished, PlaybackStarted, SampleCut
from visavis.stage.port.held import HeldUtterance
from visavis.stage.port.so_far import PerformanceSoFar, UtteranceSoFar
from visavis.stage.port.values import PerformanceSpec, Speech, Spoken
from visavis.stage.timeline import PLAYOUT_RATE_HZ, SAMPLES_PER_MS, seconds
from visavis.stage.utterance_media import UtteranceMedia

MAX_QUEUED_S = 600
MAX_QUEUED_UTTERANCES = 4096
IDLE_SAMPLES = 300 * SAMPLES_PER_MS  # an open utterance that gets no audio for this long is idle
KEPT_IDS = 2 * MAX_QUEUED_UTTERANCES  # ids of ended utterances, so that audio that comes too late is recognised


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
    """`first_number`: the number of its first piece of speech. `named`: the client gave it its id. `kept`: its audio as
    it arrived, from about where it is played now.
    """

    utterance_id: str
    named: bool
    first_number: int
    media: UtteranceMedia
    kept: KeptUtterance
    last_audio_at: int  # the position of the clock when its last audio came
    cut_sample: bytes = b""  # the first byte of a sample whose second byte has not come
    cut_rate_hz: int = 0  # the rate of `cut_sample`
    waiting_samples: int = 0  # its length at 48 kHz while it waits to be played; then 0
    heard_samples: int = 0  # set at its end: how much of it was played
    told_samples: int = 0  # how much was played when its owner was told last
    moved: bool = False  # another stage has received it, so its times are not known here
    state: UtteranceState = UtteranceState.QUEUED

    def move(self, state: UtteranceState) -> None:
        assert state in MOVES[self.state], (self.state, state)
        self.state = state


class Utterances:
    """All utterances that have not ended yet, in the order in which they are played. The last one may be open: it can
    get more audio. An open utterance that a client has named stays open until `final`, another id or an interrupt. One
    without a name also ends when it is idle.

    A sender goes on for a moment after an interrupt, so audio that bears the id of an interrupted utterance is dropped.
    An interrupt also overtakes earlier speech on its way to the stage. Such a piece is late: its number is not above
    that of an interrupt which arrived before it. Late pieces are dropped. An utterance that consists only of late
    pieces ends as soon as the first of them arrives.
    """

    def __init__(self, open_speech: Callable[[], SpeechToMotion]) -> None:
        self._open_speech = open_speech
        self._waiting: deque[Utterance] = deque()
        self._open: Utterance | None = None
        self._generated_ids = 0
        self._dropped_through = 0  # the highest `through` of an interrupt
        self._late_id: str | None = None  # the utterance of late pieces without an id
        # the utterances that get no more audio, oldest first, and whether they were interrupted; at most KEPT_IDS
        self._closed_ids: OrderedDict[str, bool] = OrderedDict()
        self._cut_samples: list[SampleCut] = []  # to be taken by `take_cut_samples`
        self._ended: list[Utterance] = []  # to be taken by `take_ended`
        self._waiting_samples = 0  # of all in _waiting; a running total, so that a flood of calls stays cheap
        self.current: Utterance | None = None

    def add(self, speech: Speech, *, position: int, now_ns: int) -> Spoken:
        """Queue a piece of speech. An odd byte at its end waits for the next piece of the utterance. Audio of an
        interrupted utterance is dropped. A piece without audio opens no utterance, unless it is all of a named one.

        Raises `QueueFull`; then nothing is queued.
        """
        if speech.utterance_id is not None and self._is_over(speech.utterance_id, speech):
            return Spoken(utterance_id=speech.utterance_id, samples=0)
        utterance = self._open
        if utterance is not None and speech.utterance_id not in (None, utterance.utterance_id):
            utterance = None
        if utterance is None and not speech.pcm and not (speech.final and speech.utterance_id):
            return Spoken(utterance_id=speech.utterance_id or self._newest_id(), samples=0)
        pcm, cut_sample = _samples_of(utterance, speech)
        samples = len(pcm) * PLAYOUT_RATE_HZ // speech.sample_rate_hz
        if self.queued_samples + samples > MAX_QUEUED_S * PLAYOUT_RATE_HZ:
            raise QueueFull(
                f"More than {MAX_QUEUED_S} s of speech would be queued",
                suggestion="Send the rest when playback has caught up",
            )
        if utterance is None:
            if len(self._waiting) >= MAX_QUEUED_UTTERANCES:
                raise QueueFull(
                    f"More than {MAX_QUEUED_UTTERANCES} utterances would be queued",
                    suggestion="Join short pieces under one utterance_id",
                )
            utterance = self._open_utterance(speech.utterance_id, speech.number, position)
        if not utterance.media.times.received_ns:
            utterance.media.times.received_at, utterance.media.times.received_ns = position, now_ns
        utterance.named = utterance.named or speech.utterance_id is not None
        if speech.pcm:
            utterance.last_audio_at = position
        self._append(utterance, speech, pcm, cut_sample, now_ns=now_ns)
        if speech.final:
            self._close_open_utterance()
        return Spoken(utterance_id=utterance.utterance_id, samples=len(pcm))

    def _append(
        self, utterance: Utterance, speech: Speech, pcm: NDArray[np.int16], cut_sample: bytes, *, now_ns: int
    ) -> None:
        """Append a piece to its utterance. `pcm`, `cut_sample`: see `_samples_of`."""
        before = utterance.media.received_samples
        utterance.media.add(pcm, speech.sample_rate_hz, now_ns=now_ns, visemes=speech.visemes, mood=speech.mood)
        utterance.kept.add(speech)
        if speech.pcm:
            if utterance.cut_rate_hz != speech.sample_rate_hz:
                self._report_cut_sample(utterance)
            utterance.cut_sample, utterance.cut_rate_hz = cut_sample, speech.sample_rate_hz
        if utterance.state is UtteranceState.QUEUED:
            samples = utterance.media.received_samples - before
            utterance.waiting_samples += samples
            self._waiting_samples += samples

    def go_on(self, so_far: PerformanceSoFar, *, position: int, now_ns: int) -> list[PlaybackFinished]:
        """Take over the utterances of another stage. Nothing has been spoken here before, but an interrupt may have
        arrived: it ends what it drops. Return these ends.
        """
        self._closed_ids.update(so_far.ended_ids)
        self._generated_ids = max(self._generated_ids, so_far.generated_ids)
        self._late_id = so_far.late_id
        for one in so_far.utterances:
            self._restore(one, position=position, now_ns=now_ns)
        through = max(self._dropped_through, so_far.dropped_through)
        if not through:  # none was interrupted; utterances of an earlier server have the number 0
            return []
        return self.interrupt(through=through, played_samples=0 if self.current is None else self.current.media.played)

    def _restore(self, so_far: UtteranceSoFar, *, position: int, now_ns: int) -> None:
        utterance = Utterance(
            utterance_id=so_far.utterance_id,
            named=so_far.named,
            first_number=so_far.first_number,
            media=UtteranceMedia(self._open_speech, begin=so_far.played_samples, mood=so_far.mood),
            kept=KeptUtterance.of(msgspec.structs.replace(so_far, open=True, pieces=())),
            last_audio_at=position,
            moved=True,
        )
        utterance.media.times.received_at, utterance.media.times.received_ns = position, now_ns
        if so_far.started and self.current is None and not self._waiting:
            utterance.move(UtteranceState.PLAYING)
            self.current = utterance
        else:
            self._waiting.append(utterance)
        for piece in so_far.pieces:
            self._append(utterance, piece, *_samples_of(utterance, piece), now_ns=0)
        if so_far.open:
            self._open = utterance
        else:
            self._remember_closed(utterance.utterance_id, interrupted=False)
            utterance.media.close()

    def take_cut_samples(self) -> list[SampleCut]:
        """Return the cut samples that were found since the last call."""
        cut, self._cut_samples = self._cut_samples, []
        return cut

    def take_ended(self) -> list[Utterance]:
        """Return the utterances that have ended since the last call."""
        ended, self._ended = self._ended, []
        return ended

    def is_late(self, number: int) -> bool:
        """Whether an interrupt arrived before the piece of speech with this number and drops it."""
        return number <= self._dropped_through

    def drop_late(self, speech: Speech) -> tuple[Spoken, PlaybackFinished | None]:
        """Drop a late piece; return also the end of its utterance if this is the first piece of it."""
        utterance_id = self._late_id if speech.utterance_id is None else speech.utterance_id
        end = None
        if utterance_id is None and speech.pcm:
            utterance_id = self._generate_id()
        if utterance_id is not None and not self._is_over(utterance_id, speech):
            end = PlaybackFinished(utterance_id=utterance_id, position_s=0.0, interrupted=True)
            self._remember_closed(utterance_id, interrupted=True)
        self._late_id = None if speech.final else utterance_id
        return Spoken(utterance_id=utterance_id or self._newest_id(), samples=0), end

    def _is_over(self, utterance_id: str, speech: Speech) -> bool:
        """Whether a piece belongs to an utterance that was interrupted, or ends one that has ended. Audio with the id
        of an utterance that has ended otherwise begins another one: its client uses the id again.
        """
        interrupted = self._closed_ids.get(utterance_id)
        is_open = self._open is not None and self._open.utterance_id == utterance_id
        return interrupted is not None and not is_open and (interrupted or not speech.pcm)

    def _remember_closed(self, utterance_id: str, *, interrupted: bool) -> None:
        self._closed_ids[utterance_id] = interrupted
        self._closed_ids.move_to_end(utterance_id)
        if len(self._closed_ids) > KEPT_IDS:
            self._closed_ids.popitem(last=False)

    def _newest_id(self) -> str:
        """Return the id of the utterance that was closed last, "" if there was none."""
        return next(reversed(self._closed_ids), "")

    def _generate_id(self) -> str:
        """Return an id that no utterance has had."""
        while True:
            self._generated_ids += 1
            utterance_id = f"utt_{self._generated_ids}"
            if utterance_id not in self._closed_ids:
                return utterance_id

    def _open_utterance(self, utterance_id: str | None, number: int, position: int) -> Utterance:
        self._close_open_utterance()
        self._late_id = None
        named = utterance_id is not None
        utterance_id = utterance_id or self._generate_id()
        utterance = Utterance(
            utterance_id=utterance_id,
            named=named,
            first_number=number,
            media=UtteranceMedia(self._open_speech),
            kept=KeptUtterance(utterance_id=utterance_id, first_number=number),
            last_audio_at=position,
        )
        self._waiting.append(utterance)
        self._open = utterance
        return utterance

    def _close_open_utterance(self) -> None:
        if self._open is not None:
            self._report_cut_sample(self._open)
            self._remember_closed(self._open.utterance_id, interrupted=False)
            self._open.media.close()
            self._open = None

    def _report_cut_sample(self, utterance: Utterance) -> None:
        if utterance.cut_sample:
            self._cut_samples.append(SampleCut(utterance_id=utterance.utterance_id))

    def close_if_idle(self, position: int) -> None:
        """Close the open utterance if it is idle and the client has not named it."""
        if self._open is not None and not self._open.named and self.is_idle(self._open, position):
            self._close_open_utterance()

    def is_idle(self, utterance: Utterance, position: int) -> bool:
        """Whether an utterance is open and has got no audio for 300 ms."""
        return utterance is self._open and position - utterance.last_audio_at >= IDLE_SAMPLES

    def peek_next(self) -> Utterance | None:
        """Return the utterance that will be played after the current one, and leave it in the queue."""
        return self._waiting[0] if self._waiting else None

    def start_next(self) -> PlaybackStarted:
        """Make the next utterance the current one. There must be a next one, and no current one."""
        assert self.current is None
        self.current = self._waiting.popleft()
        self._waiting_samples -= self.current.waiting_samples
        self.current.waiting_samples = 0
        self.current.move(UtteranceState.PLAYING)
        return PlaybackStarted(utterance_id=self.current.utterance_id)

    def finish_current(self) -> PlaybackFinished:
        """End the current utterance, whose last sample has been taken."""
        utterance = self.current
        assert utterance is not None and utterance.media.drained
        utterance.move(UtteranceState.FINISHED)
        utterance.heard_samples = utterance.media.played
        self._ended.append(utterance)
        self.current = None
        return PlaybackFinished(
            utterance_id=utterance.utterance_id, position_s=seconds(utterance.media.played), interrupted=False
        )

    def interrupt(self, *, through: int, played_samples: int) -> list[PlaybackFinished]:
        """End every utterance whose first piece has a number up to `through`; return their ends.

        `played_samples`: how much of the current utterance was played, with the fade. Every piece with a number up to
        `through` that arrives later is late. An interrupt arrives before all speech with a higher number, so no
        utterance has pieces on both sides of it.
        """
        self._dropped_through = max(self._dropped_through, through)
        dropped = [self.current] if self.current and self.current.first_number <= through else []
        dropped += [utterance for utterance in self._waiting if utterance.first_number <= through]
        ends = []
        for utterance in dropped:
            is_playing = utterance.state is UtteranceState.PLAYING
            played = utterance.heard_samples = played_samples if is_playing else utterance.media.played
            utterance.move(UtteranceState.INTERRUPTED)
            self._ended.append(utterance)
            self._remember_closed(utterance.utterance_id, interrupted=True)
            end = PlaybackFinished(utterance_id=utterance.utterance_id, position_s=seconds(played), interrupted=True)
            ends.append(end)
            self._waiting_samples -= utterance.waiting_samples
        self._waiting = deque(u for u in self._waiting if u.state is UtteranceState.QUEUED)
        if self.current and self.current.state is UtteranceState.INTERRUPTED:
            self.current = None
        if self._open and self._open.state is UtteranceState.INTERRUPTED:
            self._late_id, self._open = self._open.utterance_id, None
        return ends

    def forget_numbers(self) -> None:
        """Let the numbers of speech begin anew: another client of the session counts from 1."""
        self._dropped_through = 0
        for utterance in [*self._waiting, *([self.current] if self.current else [])]:
            utterance.first_number = 0

    def held(self) -> tuple[HeldUtterance, ...]:
        """Return the utterances that have not ended, in the order in which they are played."""
        return tuple(
            HeldUtterance(
                utterance_id=utterance.utterance_id,
                received_s=seconds(utterance.media.received_samples),
                played_s=seconds(utterance.media.played) if utterance is self.current else None,
                open=utterance is self._open,
                named=utterance.named,
            )
            for utterance in (self.current, *self._waiting)
            if utterance is not None
        )

    def so_far(self, spec: PerformanceSpec, *, most_bytes: int) -> PerformanceSoFar:
        """Return what another stage needs to go on with these utterances. Audio beyond `most_bytes` is left out."""
        utterances = []
        for utterance in (self.current, *self._waiting):
            if utterance is None:
                continue
            utterance.kept.played(utterance.media.played)
            so_far = utterance.kept.so_far()
            pieces = []
            for piece in so_far.pieces:
                most_bytes -= len(piece.pcm)
                if most_bytes < 0:
                    break
                pieces.append(piece)
            utterances.append(
                msgspec.structs.replace(
                    so_far,
                    named=utterance.named,
                    open=utterance is self._open,
                    first_number=utterance.first_number,
                    started=utterance is self.current,
                    pieces=tuple(pieces),
                )
            )
        return PerformanceSoFar(
            spec=spec,
            utterances=tuple(utterances),
            ended_ids=dict(self._closed_ids),
            dropped_through=self._dropped_through,
            late_id=self._late_id,
            generated_ids=self._generated_ids,
        )

    @property
    def queued_samples(self) -> int:
        """The speech that has not been played yet, in samples at 48 kHz."""
        return self._waiting_samples + (self.current.media.unplayed_samples if self.current else 0)


def _samples_of(utterance: Utterance | None, speech: Speech) -> tuple[NDArray[np.int16], bytes]:
    """Return the samples of its utterance that a piece completes, int16 (n,), and the odd byte at its end."""
    held = b""
    if utterance is not None and utterance.cut_rate_hz == speech.sample_rate_hz:
        held = utterance.cut_sample
    data = held + speech.pcm if held else speech.pcm
    pcm = np.frombuffer(data, dtype="<i2", count=len(data) // 2)
    return pcm, data[2 * len(pcm) :]
