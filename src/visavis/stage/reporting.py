"""Watches what the stage and its machine take, learns from it what sessions cost, and reports both to the servers."""

from __future__ import annotations

import asyncio
import resource
import socket
import time
import zlib
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from visavis.machine.cores import CoreCounters, read_counters, use_between
from visavis.machine.network import tracked_share
from visavis.rooms.webrtc.media_ports import media_figures
from visavis.stage.calibration import yardstick_ms
from visavis.stage.costs import CostModel, Work
from visavis.stage.pacing import Pacing
from visavis.stage.port.report import MediaPortReport, StageReport
from visavis.stage.session import StageSession

REPORT_EVERY_S = 1.0
WINDOW_REPORTS = 3  # what is reported as taken is the mean of so many seconds
YARDSTICK_EVERY_REPORTS = 2
JOINING_REPORTS = 2  # a viewer takes its handshake within so many after its offer


@dataclass(frozen=True, slots=True)
class _Sample:
    counters: CoreCounters
    own_s: float  # processor time of this process


def machine_id() -> str:
    """Return the same name for all processes that share their cores: one start of one machine, one control group."""
    boot = socket.gethostname()
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    group = ""
    with suppress(OSError):
        group = Path("/proc/self/cgroup").read_text(encoding="utf-8", errors="replace")
    return f"{boot}-{zlib.crc32(group.encode()):08x}"


class Reporting:
    """Makes the stage's reports. `sessions`: those that run now, by id."""

    def __init__(
        self, *, sessions: Callable[[], Mapping[str, StageSession]], costs: CostModel, pacing: Pacing | None
    ) -> None:
        self._sessions, self._costs, self._pacing = sessions, costs, pacing
        self._machine_id = machine_id()
        self._samples: deque[_Sample] = deque([_sample()], maxlen=WINDOW_REPORTS + 1)
        self._worked: dict[str, tuple[int, int]] = {}  # by session: its frames so far, as of the last report
        self._number = 0
        self._joining_until = 0  # the report until which somebody may be joining

    def viewer_joins(self) -> None:
        """Learn nothing from the next seconds: somebody has made an offer."""
        self._joining_until = self._number + 1 + JOINING_REPORTS

    def report(self) -> StageReport:
        """Return the state of the stage now, with what was taken in the last seconds."""
        first, last = self._samples[0], self._samples[-1]
        use = use_between(first.counters, last.counters)
        passed_s = max(last.counters.at_s - first.counters.at_s, 1e-3)
        pacing, sessions = self._pacing, self._sessions()
        return StageReport(
            machine_id=self._machine_id,
            cores=use.cores,
            unused_cores=use.unused,
            own_cores=(last.own_s - first.own_s) / passed_s,
            stolen_cores=use.stolen,
            throttled_cores=use.throttled,
            loop_load=0.0 if pacing is None else pacing.load_share,
            pace=0 if pacing is None else pacing.own,
            memory_bytes=_memory_bytes(),
            media=_media_port(),
            costs=self._costs.costs,
            sessions={session_id: session.shape for session_id, session in sessions.items()},
            opened={session_id: session.opened for session_id, session in sessions.items() if session.is_resized},
        )

    async def run(self, send: Callable[[StageReport], None]) -> None:
        """Report once a second, and at once when the stage needs another pace."""
        if self._pacing is not None:
            self._pacing.on_change = lambda: send(self.report())
        while True:
            await asyncio.sleep(REPORT_EVERY_S)
            self._look()
            send(self.report())

    def _look(self) -> None:
        before = self._samples[-1]
        after = _sample()
        self._samples.append(after)
        self._number += 1
        if self._number % YARDSTICK_EVERY_REPORTS == 0:
            self._costs.learn_yardstick(yardstick_ms())
        works = self._works()
        if self._number > self._joining_until:
            self._costs.learn(
                works,
                used_s=after.own_s - before.own_s,
                passed_s=max(after.counters.at_s - before.counters.at_s, 1e-3),
            )

    def _works(self) -> list[Work]:
        """Return what each session has done since the last call."""
        works, worked = [], {}
        for session_id, session in self._sessions().items():
            shape, frames = session.shape, (session.speaking_frames, session.silent_frames)
            speaking, silent = self._worked.get(session_id, (0, 0))
            worked[session_id] = frames
            works.append(
                Work(
                    width_px=shape.width_px,
                    height_px=shape.height_px,
                    fps=shape.fps,
                    speaking_frames=frames[0] - speaking,
                    silent_frames=frames[1] - silent,
                    viewers=shape.viewers,
                )
            )
        self._worked = worked
        return works


def _memory_bytes() -> int:
    """Return the resident memory of this process, 0 where the system does not tell."""
    with suppress(OSError, ValueError, IndexError):
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize()
    return 0


def _media_port() -> MediaPortReport:
    figures = media_figures()
    if figures is None:
        return MediaPortReport(tracked_share=tracked_share())
    return MediaPortReport(
        port=figures.port,
        receive_buffer_bytes=figures.receive_buffer_bytes,
        send_buffer_bytes=figures.send_buffer_bytes,
        dropped=figures.dropped,
        unsent=figures.unsent,
        refused=figures.refused,
        tracked_share=tracked_share(),
    )


def _sample() -> _Sample:
    return _Sample(read_counters(), time.process_time())
