"""A control group with a quota of processor time for processes of a test, where this machine lets a test make one."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

MOUNT = Path("/sys/fs/cgroup")
PERIOD_US = 100_000


@contextmanager
def cpu_group(cores: float) -> Iterator[list[str]]:
    """Make a group with a quota, and yield the words that run a command in it. Skips the test where none can be made.
    The group's processes must have ended by the end of the block.
    """
    folder = _made(int(cores * PERIOD_US))
    if folder is None:
        pytest.skip("no control group can be made here")
    try:
        yield ["sh", "-c", f'echo $$ > {folder / "cgroup.procs"} && exec "$@"', "sh"]
    finally:
        deadline_s = time.monotonic() + 20
        while folder.exists() and time.monotonic() < deadline_s:
            with contextlib.suppress(OSError):  # its last process is just ending
                folder.rmdir()
                break
            time.sleep(0.1)  # nothing tells when the last process has gone


def _made(quota_us: int) -> Path | None:
    version_1, version_2 = MOUNT / "cpu", MOUNT
    name = f"visavis-test-{os.getpid()}"
    with contextlib.suppress(OSError):
        if version_1.is_dir():
            folder = version_1 / name
            folder.mkdir()
            (folder / "cpu.cfs_quota_us").write_text(str(quota_us))
            return folder
        if "cpu" in (version_2 / "cgroup.subtree_control").read_text().split():
            folder = version_2 / name
            folder.mkdir()
            (folder / "cpu.max").write_text(f"{quota_us} {PERIOD_US}")
            return folder
    return None
