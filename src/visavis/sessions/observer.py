"""What an operator sees of sessions: one line of the log for each start and each end, the metrics of the server, and
traces.
"""

from __future__ import annotations

import time
from collections import OrderedDict

import structlog

from visavis.errors import NoCapacity, PackUnreadable, PerformerLost, VisavisError
from visavis.sessions.lifecycle import EndReason
from visavis.sessions.metering import billed_minutes
from visavis.sessions.session_metrics import SessionMetrics, latencies_ms
from visavis.stage.port.events import MetricsEvent, PerformanceMoved, UtteranceMeasured
from visavis.store.records import SessionRecord
from visavis.telemetry.metrics import Metrics
from visavis.telemetry.traces import NoTraces, Span, Traces

KEPT_ENDED = 256  # ended sessions whose metrics can still be read

START_REFUSALS = (NoCapacity, PerformerLost, PackUnreadable)

log = structlog.get_logger()


class Observer:
    """Told by the sessions what happens. `ended_metrics`: of the last sessions that have ended, oldest first."""

    def __init__(self, metrics: Metrics | None = None, traces: Traces | None = None) -> None:
        self.metrics = metrics or Metrics()
        self._traces = traces or NoTraces()
        self.metrics.declare(end_reasons=EndReason, start_refusals=[refusal.code for refusal in START_REFUSALS])
        self.ended_metrics: OrderedDict[str, SessionMetrics] = OrderedDict()

    def created(self, record: SessionRecord, *, after_s: float) -> None:
        """A session has been created, so long after the request for it had come."""
        self._trace("create", record.id, after_s=after_s)

    def started(self, record: SessionRecord, *, after_s: float) -> None:
        """A session has started, so long after its start was asked for."""
        self.metrics.session_started(after_s=after_s)
        self._trace("start", record.id, after_s=after_s)
        log.info(
            "session_started",
            session_id=record.id,
            avatar_id=record.avatar_id,
            dialect=record.dialect,
            after_s=round(after_s, 3),
        )

    def adopted(self, record: SessionRecord) -> None:
        """A session goes on that an earlier server has begun."""
        log.info("session_adopted", session_id=record.id, avatar_id=record.avatar_id)

    def lost_to_another(self, record: SessionRecord) -> None:
        """Another server has taken a session over, because this one had not renewed its lease."""
        log.warning("session_lost_to_another_server", session_id=record.id)

    def start_refused(self, record: SessionRecord, error: VisavisError, *, after_s: float) -> None:
        """A start has failed, so long after it was asked for."""
        self.metrics.start_refused(error.code)
        self._trace("start", record.id, after_s=after_s, error=error.code)
        log.warning(
            "session_start_refused",
            session_id=record.id,
            code=error.code,
            detail=error.message,
            after_s=round(after_s, 3),
        )

    def ended(self, record: SessionRecord, metrics: SessionMetrics | None = None) -> None:
        """A session has ended, and `record` tells why. `metrics`: None if nobody has performed it here."""
        until_ms = max(record.ended_at_ms or 0, record.started_at_ms or 0)
        duration_s = 0.0 if record.started_at_ms is None else (until_ms - record.started_at_ms) / 1000
        minutes = billed_minutes(started_at_ms=record.started_at_ms, until_ms=until_ms)
        reason = record.end_reason or "unknown"
        self.metrics.session_ended(reason, duration_s=duration_s, minutes=minutes)
        seen: dict[str, int] = {}
        if metrics is not None:
            seen = {
                "frames": metrics.frames,
                "late_frames": metrics.late_frames,
                "utterances": metrics.utterances,
            }
        self._traces.record(
            Span(
                name="session",
                session_id=record.id,
                began_ns=record.created_at_ms * 1_000_000,
                ended_ns=max(record.created_at_ms, until_ms) * 1_000_000,
                attributes={"visavis.reason": reason} | {f"visavis.{name}": count for name, count in seen.items()},
            )
        )
        log.info(
            "session_ended",
            session_id=record.id,
            reason=reason,
            duration_s=round(duration_s, 3),
            minutes=minutes,
            **seen,
        )
        if metrics is not None:
            self.ended_metrics[record.id] = metrics
            while len(self.ended_metrics) > KEPT_ENDED:
                self.ended_metrics.popitem(last=False)

    def moved(self, record: SessionRecord, event: PerformanceMoved) -> None:
        """A session goes on on another stage."""
        self.metrics.session_moved(after_s=event.after_s)
        self._trace("move", record.id, after_s=event.after_s)
        log.warning("session_moved", session_id=record.id, detail=event.detail, after_s=event.after_s)

    def measured(self, record: SessionRecord, event: MetricsEvent) -> None:
        """A performer has measured a second or an utterance."""
        if not isinstance(event, UtteranceMeasured):
            self.metrics.take_second(event)
            return
        latency = latencies_ms(event)
        self.metrics.utterance_ended(
            interrupted=event.interrupted,
            motion_ms=latency.motion,
            frame_ms=latency.frame,
            packet_ms=latency.packet,
        )
        self._trace_utterance(record, event)

    def viewer_joined(self, record: SessionRecord, *, after_s: float | None) -> None:
        """A viewer has joined, so long after its offer had come; None if that is unknown."""
        self.metrics.viewer_joined()
        if after_s is not None:
            self._trace("join", record.id, after_s=after_s)

    def interrupt_confirmed(self, *, after_s: float) -> None:
        self.metrics.interrupt_confirmed(after_s=after_s)

    def _trace(self, name: str, session_id: str, *, after_s: float, error: str | None = None) -> None:
        """Record a span that has just ended."""
        ended_ns = time.time_ns()
        began_ns = ended_ns - int(after_s * 1e9)
        self._traces.record(Span(name=name, session_id=session_id, began_ns=began_ns, ended_ns=ended_ns, error=error))

    def _trace_utterance(self, record: SessionRecord, measured: UtteranceMeasured) -> None:
        """Its times are on the clock of the session, which begins with it, to within a tenth of a second."""
        received_ns = (record.started_at_ms or 0) * 1_000_000 + int(measured.received_s * 1e9)

        def at_ns(after_ms: float) -> int:
            return received_ns + int(after_ms * 1e6)

        stations = {
            "turn": measured.turn_ms,
            "first motion": measured.motion_ms,
            "first frame": measured.frame_ms,
            "first packet": measured.packet_ms,
        }
        self._traces.record(
            Span(
                name="utterance",
                session_id=record.id,
                began_ns=received_ns,
                ended_ns=at_ns(measured.finished_ms),
                attributes={
                    "visavis.utterance_id": measured.utterance_id,
                    "visavis.played_s": measured.played_s,
                    "visavis.interrupted": measured.interrupted,
                },
                stations=[(name, at_ns(after_ms)) for name, after_ms in stations.items() if after_ms is not None],
            )
        )
