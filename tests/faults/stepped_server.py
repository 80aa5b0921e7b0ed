"""A server whose wall clock a test can set: `python -m tests.faults.stepped_server OFFSET_FILE serve --port …`.

OFFSET_FILE holds how far its clock is ahead, in seconds, as eight bytes (a float). Monotonic time goes on, as it does
when the clock of a machine is set.
"""

from __future__ import annotations

import mmap
import struct
import sys
import time
from pathlib import Path

OFFSET = struct.Struct("=d")


def step_clock(file: Path) -> None:
    """Let `time` and `time_ns` of this process follow the offset in a file."""
    with file.open("r+b") as opened:
        offset = mmap.mmap(opened.fileno(), OFFSET.size)
    real, real_ns = time.time, time.time_ns

    def ahead_s() -> float:
        ahead: float = OFFSET.unpack_from(offset)[0]
        return ahead

    time.time = lambda: real() + ahead_s()
    time.time_ns = lambda: real_ns() + int(ahead_s() * 1e9)


if __name__ == "__main__":
    step_clock(Path(sys.argv[1]))
    sys.argv = ["visavis", *sys.argv[2:]]
    from visavis.__main__ import main

    main()
