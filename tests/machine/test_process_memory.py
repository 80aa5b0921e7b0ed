"""Huge pages are refused, whatever the kernel would give; all threads share one arena."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

SCRIPT = """
import sys
from pathlib import Path
from visavis.machine.process_memory import refuse_huge_pages

def in_huge_pages_kb():
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return int(next(line for line in lines if "AnonHugePages" in line).split()[1])


if sys.argv[1:]:
    refuse_huge_pages()
before_kb = in_huge_pages_kb()  # the interpreter's own start may have taken some
memory = bytearray(64 << 20)
memory[:: 4096] = b"x" * (len(memory) // 4096)
print(in_huge_pages_kb() - before_kb)
"""


def huge_kb(*arguments: str) -> int:
    """Return what a process that asks for huge pages everywhere gets of them for 64 MB: as if the kernel gave them
    always.
    """
    environment = os.environ | {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
    ran = subprocess.run([sys.executable, "-c", SCRIPT, *arguments], env=environment, capture_output=True, check=True)
    return int(ran.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="huge pages are read from /proc")
def test_a_process_that_refuses_huge_pages_gets_none() -> None:
    given = huge_kb()  # 0 on a kernel without them; then this shows only that refusing does no harm
    assert huge_kb("refuse") == 0 <= given


ARENAS = """
import ctypes
import sys
import threading
from visavis.machine.process_memory import share_one_arena

if sys.argv[1:]:
    share_one_arena()
libc = ctypes.CDLL(None)
libc.malloc.restype = libc.fopen.restype = ctypes.c_void_p
for _ in range(4):
    thread = threading.Thread(target=libc.malloc, args=(5000,))
    thread.start()
    thread.join()
libc.malloc_info(0, ctypes.c_void_p(libc.fopen(b"/dev/stdout", b"w")))
libc.fflush(None)
"""


def arenas(*arguments: str) -> int:
    """Return how many arenas glibc has opened for a process whose threads have allocated."""
    ran = subprocess.run([sys.executable, "-c", ARENAS, *arguments], capture_output=True, check=True)
    return ran.stdout.count(b"<heap nr=")


@pytest.mark.skipif(sys.platform != "linux", reason="arenas are those of glibc")
def test_threads_share_one_arena() -> None:
    assert arenas("share") == 1 < arenas()
