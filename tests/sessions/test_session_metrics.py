"""The metrics of one session, from its performer's events."""

from __future__ import annotations

from visavis.sessions.session_metrics import KEPT_UTTERANCES, Percentiles, SessionMetrics, latencies_ms
from visavis.stage.port.events import PerformerMetrics, UtteranceMeasured


def measured(number: int = 1, *, turn_ms: float | None = 0.0, frame_ms: float | None = 60.0) -> UtteranceMeasured:
    return UtteranceMeasured(
        utterance_id=f"u{number}",
        received_s=1.0,
        turn_ms=turn_ms,
        motion_ms=frame_ms,
        frame_ms=frame_ms,
        packet_ms=None if frame_ms is None else frame_ms + 1,
        finished_ms=500.0,
        played_s=0.4,
        interrupted=number % 2 == 0,
    )


def test_percentiles_are_values_by_nearest_rank() -> None:
    assert Percentiles.of([]) == Percentiles(p50=None, p95=None, p99=None)
    assert Percentiles.of([7.0]) == Percentiles(p50=7.0, p95=7.0, p99=7.0)
    assert Percentiles.of(range(100, 0, -1)) == Percentiles(p50=50, p95=95, p99=99)
    assert Percentiles.of([1.0, 2.0]) == Percentiles(p50=1.0, p95=2.0, p99=2.0)


def test_seconds_add_up_and_the_last_one_gives_the_rate() -> None:
    metrics = SessionMetrics()
    metrics.take(PerformerMetrics(frames=25, late_frames=0, queued_s=0.5, blocks=50, packets_sent=100, interrupts=1))
    metrics.take(PerformerMetrics(duration_s=0.5, frames=10, late_frames=2, hurried_frames=3, queued_s=0.0, blocks=25))
    assert (metrics.frames, metrics.late_frames, metrics.hurried_frames, metrics.blocks) == (35, 2, 3, 75)
    assert (metrics.performed_s, metrics.frame_rate, metrics.packets_sent, metrics.interrupts) == (1.5, 20.0, 100, 1)


def test_the_time_behind_earlier_utterances_is_no_latency() -> None:
    waited = latencies_ms(measured(turn_ms=1000.0, frame_ms=1060.0))
    assert (waited.motion, waited.frame, waited.packet) == (60.0, 60.0, 61.0)
    dropped = latencies_ms(measured(turn_ms=None, frame_ms=None))
    assert dropped.motion is dropped.frame is dropped.packet is None


def test_utterances_are_counted_and_the_newest_are_kept() -> None:
    metrics = SessionMetrics()
    for number in range(1, 101):
        metrics.take(measured(number, frame_ms=float(number)))
    metrics.take(PerformerMetrics(frames=0, late_frames=0, queued_s=0.0, unmeasured=7))
    assert (metrics.utterances, metrics.interrupted_utterances) == (107, 50)
    assert [one.utterance_id for one in metrics.newest] == [f"u{n}" for n in range(101 - KEPT_UTTERANCES, 101)]
    assert metrics.frame_ms == Percentiles(p50=50.0, p95=95.0, p99=99.0)
    metrics.take(measured(1, frame_ms=None))
    assert metrics.frame_ms.p50 == 50.0


def test_interrupts_have_their_times() -> None:
    metrics = SessionMetrics()
    metrics.take(PerformerMetrics(frames=0, late_frames=0, queued_s=0.0, interrupts=2, silent_ms=(12.5, 20.5)))
    metrics.interrupt_confirmed(15.04)
    assert metrics.silent_ms.p50 == 12.5 and metrics.silent_ms.p95 == 20.5
    assert metrics.confirmed_ms.p50 == 15.0
