"""The metrics of one session, from its performer's events. Pure. They are kept while the session runs and for a while
after its end.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from visavis.stage.port.events import MetricsEvent, PerformerMetrics, UtteranceMeasured

KEPT_UTTERANCES = 32
KEPT_LATENCIES = 256  # of utterances and of interrupts


@dataclass(frozen=True, slots=True, kw_only=True)
class Percentiles:
    """Of the last KEPT_LATENCIES values, in ms; None without a value."""

    p50: float | None = None
    p95: float | None = None
    p99: float | None = None

    @classmethod
    def of(cls, values: Iterable[float]) -> Percentiles:
        """Nearest rank: each is one of the values."""
        ordered = sorted(values)
        if not ordered:
            return cls()
        p50, p95, p99 = (ordered[-(-len(ordered) * percent // 100) - 1] for percent in (50, 95, 99))
        return cls(p50=p50, p95=p95, p99=p99)


class SessionMetrics:
    """`last`: the metrics of the last second. All other attributes count from the session's start."""

    def __init__(self) -> None:
        self.last = PerformerMetrics(frames=0, late_frames=0, queued_s=0.0)
        self.performed_s = 0.0
        self.frames = self.late_frames = self.hurried_frames = 0
        self.blocks = self.dropped_blocks = self.dropped_pictures = 0
        self.underruns = self.interrupts = 0
        self.utterances = self.interrupted_utterances = 0
        self.packets_sent = self.bytes_sent = 0
        self.newest: deque[UtteranceMeasured] = deque(maxlen=KEPT_UTTERANCES)
        self._motion_ms: deque[float] = deque(maxlen=KEPT_LATENCIES)
        self._frame_ms: deque[float] = deque(maxlen=KEPT_LATENCIES)
        self._packet_ms: deque[float] = deque(maxlen=KEPT_LATENCIES)
        self._silent_ms: deque[float] = deque(maxlen=KEPT_LATENCIES)
        self._confirmed_ms: deque[float] = deque(maxlen=KEPT_LATENCIES)

    def take(self, event: MetricsEvent) -> None:
        if isinstance(event, UtteranceMeasured):
            self._take_utterance(event)
            return
        self.last = event
        self.performed_s += event.duration_s
        self.frames += event.frames
        self.late_frames += event.late_frames
        self.hurried_frames += event.hurried_frames
        self.blocks += event.blocks
        self.dropped_blocks += event.dropped_blocks
        self.dropped_pictures += event.dropped_pictures
        self.underruns += event.underruns
        self.interrupts += event.interrupts
        self.utterances += event.unmeasured
        self.packets_sent += event.packets_sent
        self.bytes_sent += event.bytes_sent
        self._silent_ms.extend(event.silent_ms)

    def _take_utterance(self, measured: UtteranceMeasured) -> None:
        self.utterances += 1
        self.interrupted_utterances += measured.interrupted
        self.newest.append(measured)
        latency = latencies_ms(measured)
        for kept, after_ms in ((self._motion_ms, latency.motion), (self._frame_ms, latency.frame)):
            if after_ms is not None:
                kept.append(after_ms)
        if latency.packet is not None:
            self._packet_ms.append(latency.packet)

    def interrupt_confirmed(self, after_ms: float) -> None:
        """The performer has confirmed an interrupt this long after the channel has passed it on."""
        self._confirmed_ms.append(round(after_ms, 1))

    @property
    def frame_rate(self) -> float:
        """The frames that were drawn in the last second."""
        return round(self.last.frames / self.last.duration_s, 1) if self.last.duration_s else 0.0

    @property
    def motion_ms(self) -> Percentiles:
        return Percentiles.of(self._motion_ms)

    @property
    def frame_ms(self) -> Percentiles:
        return Percentiles.of(self._frame_ms)

    @property
    def packet_ms(self) -> Percentiles:
        return Percentiles.of(self._packet_ms)

    @property
    def silent_ms(self) -> Percentiles:
        return Percentiles.of(self._silent_ms)

    @property
    def confirmed_ms(self) -> Percentiles:
        return Percentiles.of(self._confirmed_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Latencies:
    """In ms; None: that has not happened."""

    motion: float | None
    frame: float | None
    packet: float | None


def latencies_ms(measured: UtteranceMeasured) -> Latencies:
    """Return how long an utterance took from its turn to its first motion, frame and packet. The time in which it
    waited for earlier utterances is no latency.
    """

    def since_turn(at_ms: float | None) -> float | None:
        return None if at_ms is None or measured.turn_ms is None else round(max(0.0, at_ms - measured.turn_ms), 1)

    return Latencies(
        motion=since_turn(measured.motion_ms),
        frame=since_turn(measured.frame_ms),
        packet=since_turn(measured.packet_ms),
    )
