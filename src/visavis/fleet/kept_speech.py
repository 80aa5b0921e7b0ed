"""The speech of one session as its fleet keeps it: every utterance that has not ended, with the audio that was not yet
played. If the stage is lost, another one says the rest. Pure.

It follows what the stage tells (stage/utterances.py): each piece of speech that was taken, each event of playback, and
how much was played. It keeps no more speech than a stage has queued.
"""

from __future__ import annotations

import re
from collections import OrderedDict, deque

from visavis.stage.kept_utterance import KeptUtterance
from visavis.stage.port.events import PerformerEvent, PlaybackFinished, PlaybackProgress, PlaybackStarted
from visavis.stage.port.so_far import PerformanceSoFar, UtteranceSoFar
from visavis.stage.port.values import Speech, Spoken
from visavis.stage.timeline import seconds

KEPT_IDS = 1024  # of ended utterances, so that audio that comes too late is recognised
_GENERATED_ID = re.compile(r"utt_([0-9]{1,18})")


class KeptSpeech:
    """`ended_ids`: utterances that get no more audio, and whether they were interrupted. `dropped_through`: the highest
    number that an interrupt has dropped. `late_id`: the utterance to which dropped pieces without an id belong.
    """

    def __init__(self) -> None:
        self._utterances: deque[KeptUtterance] = deque()  # in the order in which they are played
        self.ended_ids: OrderedDict[str, bool] = OrderedDict()
        self.dropped_through = 0
        self.late_id: str | None = None
        self.last_number = 0  # the highest number of speech or interrupt
        self.generated_ids = 0

    @classmethod
    def of(cls, so_far: PerformanceSoFar) -> KeptSpeech:
        """Return the speech of a performance that another server has kept, or that a stage has told."""
        kept = cls()
        kept._utterances.extend(KeptUtterance.of(one) for one in so_far.utterances)
        kept.ended_ids.update(so_far.ended_ids)
        kept.dropped_through, kept.late_id = so_far.dropped_through, so_far.late_id
        kept.last_number, kept.generated_ids = so_far.last_number, so_far.generated_ids
        return kept

    def taken(self, speech: Speech, spoken: Spoken) -> None:
        """The stage has taken a piece of speech."""
        self.last_number = max(self.last_number, speech.number)
        self._note_id(spoken.utterance_id)
        utterance_id = spoken.utterance_id
        if speech.number <= self.dropped_through:
            self.late_id = None if speech.final else utterance_id
            return
        if self._is_over(utterance_id, speech):
            return
        utterance = self._open
        if utterance is None or utterance.utterance_id != utterance_id:
            if not speech.pcm and not (speech.final and speech.utterance_id):
                return
            self._close_open()
            self.late_id = None
            utterance = KeptUtterance(utterance_id=utterance_id, first_number=speech.number)
            self._utterances.append(utterance)
        utterance.named = utterance.named or speech.utterance_id is not None
        utterance.add(speech)
        if speech.final:
            self._close_open()

    @property
    def _open(self) -> KeptUtterance | None:
        return self._utterances[-1] if self._utterances and self._utterances[-1].open else None

    def _close_open(self) -> None:
        if (utterance := self._open) is not None:
            utterance.open = False

    def _is_over(self, utterance_id: str, speech: Speech) -> bool:
        """See `stage.utterances.Utterances`: audio of an interrupted utterance, or a second end."""
        if (utterance := self._open) is not None and utterance.utterance_id == utterance_id:
            return False
        if speech.pcm:
            return self.ended_ids.get(utterance_id, False)
        return utterance_id in self.ended_ids or self._find(utterance_id) is not None

    def observe(self, event: PerformerEvent) -> None:
        """An event of the stage."""
        match event:
            case PlaybackStarted():
                if (utterance := self._find(event.utterance_id)) is not None:
                    utterance.started = True
            case PlaybackProgress():
                if (utterance := self._find(event.utterance_id)) is not None:
                    utterance.played(event.played_samples)
            case PlaybackFinished():
                if (utterance := self._find(event.utterance_id)) is not None:
                    self._utterances.remove(utterance)
                self._remember_ended(event.utterance_id, interrupted=event.interrupted)

    def _find(self, utterance_id: str) -> KeptUtterance | None:
        """Return the first utterance with an id: a client may use an id again."""
        return next((one for one in self._utterances if one.utterance_id == utterance_id), None)

    def _remember_ended(self, utterance_id: str, *, interrupted: bool) -> None:
        self._note_id(utterance_id)
        self.ended_ids[utterance_id] = interrupted
        self.ended_ids.move_to_end(utterance_id)
        if len(self.ended_ids) > KEPT_IDS:
            self.ended_ids.popitem(last=False)

    def _note_id(self, utterance_id: str) -> None:
        if (match := _GENERATED_ID.fullmatch(utterance_id)) is not None:
            self.generated_ids = max(self.generated_ids, int(match[1]))

    def interrupted(self, *, through: int) -> None:
        """The stage has dropped all speech up to a number. Its ends of utterances come as events."""
        self.dropped_through = max(self.dropped_through, through)
        self.last_number = max(self.last_number, through)
        if (utterance := self._open) is not None and utterance.first_number <= through:
            self.late_id, utterance.open = utterance.utterance_id, False
        for one in self._utterances:
            if one.first_number <= through:
                self._remember_ended(one.utterance_id, interrupted=True)

    def drop(self, *, through: int) -> list[PlaybackFinished]:
        """While no stage performs the session: drop all speech up to a number. Return the ends of its utterances."""
        self.interrupted(through=through)
        dropped = [one for one in self._utterances if one.first_number <= self.dropped_through]
        self._utterances = deque(one for one in self._utterances if one.first_number > self.dropped_through)
        return [
            PlaybackFinished(utterance_id=one.utterance_id, position_s=seconds(one.played_samples), interrupted=True)
            for one in dropped
        ]

    def drop_all(self) -> list[PlaybackFinished]:
        """The session ends, and no stage performs it: end every utterance. Return these ends."""
        return self.drop(through=max((one.first_number for one in self._utterances), default=0))

    @property
    def size_bytes(self) -> int:
        """The audio that is kept."""
        return sum(one.size_bytes for one in self._utterances)

    def so_far(self) -> tuple[UtteranceSoFar, ...]:
        """Return the utterances as another stage goes on with them."""
        return tuple(one.so_far() for one in self._utterances)
