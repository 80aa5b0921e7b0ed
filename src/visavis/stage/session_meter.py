"""Counts what a session makes and sends, and makes its metrics of a second. Plain numbers, so that counting costs
nothing. Pure: the caller passes times in, in ns of one monotonic clock.
"""

from __future__ import annotations

import numpy as np

from visavis.rooms.port import AudienceFigures
from visavis.stage.port.events import PerformerMetrics, ViewerQuality

MAX_INTERRUPTS = 16  # whose times are reported; further ones are only counted
MAX_LATENCIES = 100  # of frames


class SessionMeter:
    """The attributes are counts since the last `take`; their owner adds to them."""

    def __init__(self) -> None:
        self._audience = AudienceFigures()  # as of the last `take`, like all that follows
        self._underruns = 0
        self._taken_ns = 0
        self._reset()

    def _reset(self) -> None:
        self.frames = self.late_frames = self.hurried_frames = 0
        self.blocks = 0
        self.interrupts = 0
        self._silent_ms: list[float] = []
        self._latencies_ms: list[float] = []

    def start(self, now_ns: int) -> None:
        self._taken_ns = now_ns

    def frame_delayed(self, latency_ns: int) -> None:
        """So long after its sample of speech has arrived, a frame was encoded."""
        if len(self._latencies_ms) < MAX_LATENCIES:
            self._latencies_ms.append(latency_ns / 1e6)

    def silenced(self, after_ns: int) -> None:
        """So long after an interrupt has arrived, the sound had faded out."""
        if len(self._silent_ms) < MAX_INTERRUPTS:
            self._silent_ms.append(round(after_ns / 1e6, 1))

    def take(
        self,
        now_ns: int,
        *,
        fps: int,
        queued_s: float,
        behind_ms: float,
        underruns: int,
        unmeasured: int,
        audience: AudienceFigures,
    ) -> PerformerMetrics:
        """Return the metrics of the time since the last call. `underruns` and `audience` count from the start of the
        session.
        """
        p50 = p95 = None
        if self._latencies_ms:
            p50, p95 = (round(float(p), 1) for p in np.percentile(self._latencies_ms, (50, 95)))
        before = self._audience
        metrics = PerformerMetrics(
            duration_s=round((now_ns - self._taken_ns) / 1e9, 3),
            fps=fps,
            frames=self.frames,
            late_frames=self.late_frames,
            hurried_frames=self.hurried_frames,
            blocks=self.blocks,
            dropped_blocks=audience.dropped_blocks - before.dropped_blocks,
            dropped_pictures=audience.dropped_pictures - before.dropped_pictures,
            queued_s=round(queued_s, 3),
            behind_ms=round(behind_ms, 1),
            underruns=underruns - self._underruns,
            interrupts=self.interrupts,
            silent_ms=tuple(self._silent_ms),
            unmeasured=unmeasured,
            viewers=tuple(
                ViewerQuality(
                    round_trip_ms=None if round_trip_ms is None else round(round_trip_ms, 1),
                    lost_share=round(lost_share, 4),
                )
                for round_trip_ms, lost_share in audience.viewers
            ),
            packets_sent=audience.packets_sent - before.packets_sent,
            bytes_sent=audience.bytes_sent - before.bytes_sent,
            packets_resent=audience.packets_resent - before.packets_resent,
            requests_refused=audience.requests_refused - before.requests_refused,
            never_connected=audience.never_connected - before.never_connected,
            bit_rate_share=audience.bit_rate_share,
            struggling=audience.struggling,
            sample_to_frame_ms_p50=p50,
            sample_to_frame_ms_p95=p95,
        )
        self._audience, self._underruns, self._taken_ns = audience, underruns, now_ns
        self._reset()
        return metrics
