"""Follows the utterances of one session through the stage, and reports the times of each after its end.

Pure: the caller passes times in, in ns of one monotonic clock. Positions are samples at 48 kHz on the session's clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from visavis.stage.port.events import UtteranceMeasured
from visavis.stage.timeline import seconds
from visavis.stage.utterance_times import UtteranceTimes
from visavis.stage.utterances import Utterance, UtteranceState

MAX_MEASURED = (
    16  # ended utterances that wait to be reported; further ones, and those from another stage, are only counted
)
WAIT_FOR_PACKET_NS = 200_000_000  # a report waits this long for the first packet of an utterance that has just ended


class UtteranceLog:
    """Methods are called in the order of the events. `unmeasured`: how many ended utterances will not be reported."""

    def __init__(self) -> None:
        self._head: Utterance | None = None  # the utterance that played or was next at the last block
        self._awaiting_packet: UtteranceTimes | None = None  # of the newest utterance that has a frame
        self._ended: deque[Utterance] = deque()
        self.unmeasured = 0

    def block_taken(self, head: Utterance | None, ended: Sequence[Utterance], now_ns: int) -> None:
        """A block of sound has been taken. `head`: the utterance that plays or is next. `ended`: those that have ended
        since the block before.
        """
        for utterance in ended:
            self._end(utterance, now_ns)
        if head is not None:
            times = head.media.times
            if not times.turn_ns:
                times.turn_ns = times.received_ns if self._head is None else max(times.received_ns, now_ns)
            if not times.motion_ns and head.media.certain_until:
                times.motion_ns = now_ns
        self._head = head

    def interrupted(self) -> None:
        """An interrupt has dropped speech: what is received after it does not wait for an earlier utterance."""
        self._head = None

    def _end(self, utterance: Utterance, now_ns: int) -> None:
        if utterance.moved or len(self._ended) >= MAX_MEASURED:
            self.unmeasured += 1
            return
        times = utterance.media.times
        times.finished_ns = now_ns
        if utterance.heard_samples:  # it may have started and ended within one block
            times.turn_ns = times.turn_ns or times.received_ns
            times.motion_ns = times.motion_ns or now_ns
        self._ended.append(utterance)

    def frame_encoded(self, times: UtteranceTimes, position: int, now_ns: int) -> None:
        """A frame that shows this utterance has been encoded."""
        if not times.frame_ns:
            times.frame_ns, times.frame_at = now_ns, position
            self._awaiting_packet = times

    @property
    def awaits_packet(self) -> bool:
        return self._awaiting_packet is not None

    def picture_sent(self, position: int, now_ns: int) -> None:
        """The picture of this position has left for a viewer."""
        times = self._awaiting_packet
        if times is not None and times.frame_at is not None and position >= times.frame_at:
            times.packet_ns = now_ns
            self._awaiting_packet = None

    def take(self, now_ns: int, *, at_once: bool = False) -> list[UtteranceMeasured]:
        """Return the times of utterances that have ended, each once. Those that have just ended are returned by a later
        call, unless `at_once`.
        """
        measured = []
        while self._ended and (at_once or now_ns - self._ended[0].media.times.finished_ns >= WAIT_FOR_PACKET_NS):
            measured.append(_measured(self._ended.popleft()))
        return measured

    def take_unmeasured(self) -> int:
        """Return `unmeasured`, and count from 0 again."""
        count, self.unmeasured = self.unmeasured, 0
        return count


def _measured(utterance: Utterance) -> UtteranceMeasured:
    times = utterance.media.times

    def since_received_ms(at_ns: int) -> float | None:
        return round((at_ns - times.received_ns) / 1e6, 1) if at_ns else None

    return UtteranceMeasured(
        utterance_id=utterance.utterance_id,
        received_s=round(seconds(times.received_at), 3),
        started_s=None if times.started_at is None else round(seconds(times.started_at), 3),
        turn_ms=since_received_ms(times.turn_ns),
        motion_ms=since_received_ms(times.motion_ns),
        frame_ms=since_received_ms(times.frame_ns),
        packet_ms=since_received_ms(times.packet_ns),
        finished_ms=since_received_ms(times.finished_ns) or 0.0,
        played_s=round(seconds(utterance.heard_samples), 3),
        interrupted=utterance.state is UtteranceState.INTERRUPTED,
    )
