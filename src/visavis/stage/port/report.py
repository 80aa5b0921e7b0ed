"""What a stage tells its servers about itself once a second: its machine, its sessions, and what a session costs there.

Costs are processor time of a session that speaks all the time at the full frame rate, all of it: speech, sound,
pictures, encoding, sending. A session that is silent or unwatched is counted at the same cost, because it may speak at
any moment.
"""

from __future__ import annotations

import msgspec

# Shares of what a frame of 512x512 costs: what the first viewer of a session costs in a second, and with it all that
# a session does only while it is watched (docs/decisions/0027), and what each further one costs until the stage has
# learned it (0033) ...
FIRST_VIEWER_FRAMES_PER_S, VIEWER_FRAMES_PER_S = 2.6, 0.45
# ... and how much a frame costs in a stage for each ms that it costs in a calibration, which sends nothing and keeps
# the caches warm: 14 sessions on two cores took 1.6 cores, and 1.15 by calibration.
LIVE_FACTOR = 1.35
_SMALL_MPX = 512 * 512 / 1e6


class SessionShape(msgspec.Struct, frozen=True, kw_only=True):
    """What the cost of a session depends on."""

    width_px: int
    height_px: int
    fps: int = 25
    viewers: int = 0


class FrameCosts(msgspec.Struct, frozen=True, kw_only=True):
    """What a frame of a speaking session costs on one core: a fixed part, and one for each million pixels.
    `viewer_frames_per_s`: what each viewer after the first costs in a second, as a share of a frame of 512x512.
    """

    fixed_ms: float
    per_mpx_ms: float
    viewer_frames_per_s: float = VIEWER_FRAMES_PER_S

    def frame_ms(self, width_px: int, height_px: int) -> float:
        return self.fixed_ms + self.per_mpx_ms * width_px * height_px / 1e6

    def times(self, factor: float) -> FrameCosts:
        return msgspec.structs.replace(self, fixed_ms=self.fixed_ms * factor, per_mpx_ms=self.per_mpx_ms * factor)

    def viewer_cores(self, viewers: int) -> float:
        """What the viewers of a session cost together."""
        first = FIRST_VIEWER_FRAMES_PER_S * (self.fixed_ms + self.per_mpx_ms * _SMALL_MPX) / 1000 if viewers else 0.0
        return first + self.further_viewer_cores(viewers - 1)

    def further_viewer_cores(self, viewers: int) -> float:
        """What so many viewers of a session cost beside its first one."""
        return max(0, viewers) * self.viewer_frames_per_s * (self.fixed_ms + self.per_mpx_ms * _SMALL_MPX) / 1000

    def session_cores(self, shape: SessionShape) -> float:
        """What a session costs. One viewer is counted even while there is none."""
        frames_s = shape.fps * self.frame_ms(shape.width_px, shape.height_px) * LIVE_FACTOR / 1000
        return frames_s + self.viewer_cores(max(1, shape.viewers))


# Of a machine that has not been measured: those of the slower of the machines in docs/performance.md.
UNMEASURED_COSTS = FrameCosts(fixed_ms=5.6, per_mpx_ms=5.0)


class MediaPortReport(msgspec.Struct, frozen=True, kw_only=True):
    """The UDP port of a stage's media; `port` is 0 if each viewer has sockets of its own.

    `receive_buffer_bytes`, `send_buffer_bytes`: what the kernel granted. `dropped`: datagrams that came faster than the
    stage read them. `unsent`: packets that the kernel did not take in time. `refused`: datagrams that nobody reads (of
    strangers, too long, too many checks). `tracked_share`: how much of the kernel's table of tracked connections is in
    use (0 to 1), 0 without one.
    """

    port: int = 0
    receive_buffer_bytes: int = 0
    send_buffer_bytes: int = 0
    dropped: int = 0
    unsent: int = 0
    refused: int = 0
    tracked_share: float = 0.0


class StageReport(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The state of a stage and of its machine.

    `machine_id`: the same for all stages that share the same cores. `cores`: how many they have together.
    `unused_cores`: how many of these nobody used in the last seconds. `own_cores`: how many this process used.
    `stolen_cores`, `throttled_cores`: how many were lost to a hypervisor and to a quota. `loop_load`: the share of the
    last half second in which the stage's loop had no rest. `pace`: the pace that the stage needs (stage/pace.py).
    `memory_bytes`: what this process has in memory (Linux). `media`: its UDP port. `opened`: sessions whose size has
    changed since they were opened here, as they were then: what their places take.
    """

    machine_id: str
    cores: float
    unused_cores: float
    own_cores: float
    stolen_cores: float = 0.0
    throttled_cores: float = 0.0
    loop_load: float = 0.0
    pace: int = 0
    memory_bytes: int = 0
    media: MediaPortReport = MediaPortReport()
    costs: FrameCosts = UNMEASURED_COSTS
    sessions: dict[str, SessionShape] = {}
    opened: dict[str, SessionShape] = {}
