"""The counts of a session become metrics of the time since the last report. Times are those of a virtual clock."""

from __future__ import annotations

from visavis.rooms.port import AudienceFigures
from visavis.stage.port.events import PerformerMetrics, ViewerQuality
from visavis.stage.session_meter import MAX_INTERRUPTS, SessionMeter

S = 1_000_000_000


def take(meter: SessionMeter, now_s: float, *, underruns: int = 0, audience: AudienceFigures) -> PerformerMetrics:
    return meter.take(
        int(now_s * S),
        fps=25,
        queued_s=1.23456,
        behind_ms=0.04,
        underruns=underruns,
        unmeasured=2,
        audience=audience,
    )


def test_counts_begin_again_and_totals_become_differences() -> None:
    meter = SessionMeter()
    meter.start(10 * S)
    meter.frames, meter.late_frames, meter.hurried_frames, meter.blocks = 24, 1, 2, 50
    meter.frame_delayed(70_000_000)
    meter.silenced(14_000_000)
    meter.interrupts = 1
    first = AudienceFigures(
        packets_sent=100,
        bytes_sent=9000,
        dropped_blocks=3,
        dropped_pictures=4,
        packets_resent=6,
        requests_refused=5,
        never_connected=2,
        viewers=((20.44, 0.00391), (None, 0.0)),
        bit_rate_share=0.5,
        struggling=1,
    )
    metrics = take(meter, 11, underruns=2, audience=first)
    assert (metrics.duration_s, metrics.frames, metrics.late_frames, metrics.hurried_frames) == (1.0, 24, 1, 2)
    assert (metrics.blocks, metrics.underruns, metrics.interrupts, metrics.silent_ms) == (50, 2, 1, (14.0,))
    assert (metrics.packets_sent, metrics.bytes_sent, metrics.dropped_blocks, metrics.dropped_pictures) == (
        (100, 9000, 3, 4)
    )
    assert (metrics.packets_resent, metrics.requests_refused, metrics.never_connected) == (6, 5, 2)
    assert (metrics.bit_rate_share, metrics.struggling) == (0.5, 1)
    assert metrics.viewers == (ViewerQuality(round_trip_ms=20.4, lost_share=0.0039), ViewerQuality())
    assert metrics.sample_to_frame_ms_p50 == 70.0 and metrics.unmeasured == 2 and metrics.queued_s == 1.235
    again = take(
        meter, 11.5, underruns=2, audience=AudienceFigures(packets_sent=130, bytes_sent=9500, dropped_blocks=3)
    )
    assert (again.duration_s, again.frames, again.blocks, again.underruns, again.interrupts) == (0.5, 0, 0, 0, 0)
    assert (again.packets_sent, again.bytes_sent, again.dropped_blocks) == (30, 500, 0)
    assert again.silent_ms == () and again.sample_to_frame_ms_p50 is None


def test_a_flood_of_interrupts_makes_no_long_report() -> None:
    meter = SessionMeter()
    meter.start(0)
    for _ in range(500):
        meter.interrupts += 1
        meter.silenced(S)
    metrics = take(meter, 1, audience=AudienceFigures())
    assert metrics.interrupts == 500 and len(metrics.silent_ms) == MAX_INTERRUPTS
