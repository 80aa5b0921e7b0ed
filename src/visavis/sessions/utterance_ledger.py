"""The utterances of a session that have not ended yet: each has its end even if the stage is lost, and a server that
stops waits for them. Pure.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

from visavis.stage.port.events import PlaybackFinished, PlaybackStarted, SegmentsOpen, SpeechEvent
from visavis.stage.port.held import HeldUtterance

KEPT_ENDS = 1024  # ids of ended utterances, for answers to speech that come after the end


@dataclass(slots=True)
class _Utterance:
    received_s: float = 0.0  # how much audio was taken
    started_s: float | None = None  # when it began to play, on the caller's clock


class UtteranceLedger:
    """Takes every piece of speech that a stage has accepted, and every event of playback."""

    def __init__(self) -> None:
        self._open: dict[str, _Utterance] = {}
        self._ended: OrderedDict[str, None] = OrderedDict()
        self._segments: set[str] = set()  # of speech from the room, that have not ended: their room tells their ends

    @property
    def has_open(self) -> bool:
        """Whether speech was accepted that has not ended: it plays, it waits to be played, or its sender pauses."""
        return bool(self._open or self._segments)

    def restore(self, held: Iterable[HeldUtterance], segments: Iterable[str] = (), *, now_s: float) -> None:
        """Take the utterances, and the segments of speech from the room, that a stage holds."""
        self._segments.update(segments)
        for one in held:
            started_s = None if one.played_s is None else now_s - one.played_s
            self._open[one.utterance_id] = _Utterance(received_s=one.received_s, started_s=started_s)

    def spoken(self, utterance_id: str, *, duration_s: float) -> None:
        """A piece of speech was accepted. Pieces without a sample belong to no open utterance."""
        if duration_s > 0 and utterance_id not in self._ended:
            self._open.setdefault(utterance_id, _Utterance()).received_s += duration_s

    def observe(self, event: SpeechEvent | SegmentsOpen, *, now_s: float) -> None:
        if isinstance(event, SegmentsOpen):
            self._segments = set(event.agents)
        elif isinstance(event, PlaybackStarted):
            self._open.setdefault(event.utterance_id, _Utterance()).started_s = now_s
        elif isinstance(event, PlaybackFinished):
            self._open.pop(event.utterance_id, None)
            self._segments.discard(event.utterance_id)
            self._ended[event.utterance_id] = None
            if len(self._ended) > KEPT_ENDS:
                self._ended.popitem(last=False)

    def end_all(self, *, now_s: float) -> list[PlaybackFinished]:
        """End the utterances whose stage is lost, and return their ends. How much of each was played is an estimate:
        the time since its start, and at most the audio that was taken.
        """
        ends = [
            PlaybackFinished(
                utterance_id=utterance_id,
                position_s=0.0
                if utterance.started_s is None
                else round(min(utterance.received_s, now_s - utterance.started_s), 3),
                interrupted=True,
            )
            for utterance_id, utterance in self._open.items()
        ]
        self._open.clear()
        return ends
