"""What tests have the sandbox do with an image, beside its real jobs: named by the first argument."""

from __future__ import annotations

import json
import os
import resource
import sys
import threading
from pathlib import Path

from visavis.engine.errors import ImageRefused, Reason
from visavis.engine.images import worker

NICE_AT_IMPORT = os.nice(0)


def run(image: bytes, arguments: list[str]) -> bytes:
    does, *more = arguments
    if does == "give back":
        print("libraries write to stdout too")
        os.write(2, b"and to stderr\n")
        return image
    if does == "refuse":
        raise ImageRefused(Reason.NO_FACE, "Nobody is here", suggestion="Come back")
    if does == "tell limits":
        limits = {
            name: resource.getrlimit(getattr(resource, name))
            for name in ("RLIMIT_DATA", "RLIMIT_AS", "RLIMIT_CPU", "RLIMIT_FSIZE", "RLIMIT_CORE")
        }
        return json.dumps(limits | {"nice": os.nice(0), "nice at import": NICE_AT_IMPORT, **_told_by_proc()}).encode()
    if does == "tell environment":
        return json.dumps(sorted(os.environ)).encode()
    if does == "tell modules":
        return json.dumps(sorted(sys.modules)).encode()
    if does == "take memory":
        bytearray(int(more[0]))
    if does == "compute without an end":
        resource.setrlimit(resource.RLIMIT_CPU, (1, 2))
        while True:
            pass
    if does == "write much":
        with Path(more[0]).open("wb") as file:
            while True:
                file.write(bytes(8 << 20))
    raise AssertionError(does)


def _told_by_proc() -> dict[str, float]:
    """How soon the kernel would kill this process, and how much memory eight more threads take."""
    over = threading.Event()
    before_kb = _data_kb()
    threads = [threading.Thread(target=over.wait) for _ in range(8)]
    for thread in threads:
        thread.start()
    taken_kb = _data_kb() - before_kb
    over.set()
    return {
        "oom_score_adj": int(Path("/proc/self/oom_score_adj").read_text()),
        "threads_mb": taken_kb / 1024 - 8 * worker.STACK_BYTES / (1 << 20),
    }


def _data_kb() -> int:
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmData:"))
