"""A control group with little memory for processes of a test, where this machine lets a test make one."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

MOUNT = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryGroup:
    """`prefix`: runs a command in the group. `folder`: None where no group could be made; then nothing is limited."""

    folder: Path | None

    @property
    def prefix(self) -> list[str]:
        if self.folder is None:
            return []
        return ["sh", "-c", f'echo $$ > {self.folder / "cgroup.procs"} && exec "$@"', "sh"]

    @property
    def killed(self) -> int:
        """How many processes the kernel has killed because the group was out of memory."""
        if self.folder is None:
            return 0
        events = self.folder / "memory.events"  # version 2
        lines = (events if events.exists() else self.folder / "memory.oom_control").read_text().splitlines()
        return sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))


@contextmanager
def memory_group(limit_bytes: int) -> Iterator[MemoryGroup]:
    """Make a group with that much memory and no swap, and remove it, whose processes must have ended by then."""
    folder = _made(limit_bytes)
    try:
        yield MemoryGroup(folder=folder)
    finally:
        if folder is not None:
            deadline_s = time.monotonic() + 20
            while folder.exists() and time.monotonic() < deadline_s:
                with contextlib.suppress(OSError):  # its last process is just ending
                    folder.rmdir()
                    break
                time.sleep(0.1)  # nothing tells when the last process has gone


def _made(limit_bytes: int) -> Path | None:
    own = dict(line.split(":", 2)[1:] for line in Path("/proc/self/cgroup").read_text().splitlines())
    version_1, version_2 = MOUNT / "memory", MOUNT
    for parent, limit in (
        (version_1 / own.get("memory", "/").strip("/"), "memory.limit_in_bytes"),
        (version_1, "memory.limit_in_bytes"),
        (version_2 / own.get("", "/").strip("/"), "memory.max"),
        (version_2, "memory.max"),
    ):
        folder = parent / f"visavis-test-{os.getpid()}"
        try:
            if limit == "memory.max" and "memory" not in (parent / "cgroup.subtree_control").read_text().split():
                continue  # version 2, and groups below this one have no limits
            folder.mkdir()
            (folder / limit).write_text(str(limit_bytes))
        except OSError:
            shutil.rmtree(folder, ignore_errors=True)
            continue
        with contextlib.suppress(OSError):  # not on every machine
            (folder / "memory.swap.max").write_text("0")
        return folder
    return None
