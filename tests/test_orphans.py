"""Orphans are reaped, and nobody else's children."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

# As process 1 does, this process takes in the children of its children.
ADOPT = """
import ctypes, os, subprocess, sys, time
from visavis.orphans import Orphans

PR_SET_CHILD_SUBREAPER = 36
assert ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
# It reaps nothing.
PARENT = "import os, subprocess; own = subprocess.Popen(['true']); print(own.pid, flush=True); os._exit(0)"
parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)
orphan = int(parent.communicate()[0])
own = subprocess.Popen(["true"])
while any(open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[0] != "Z" for pid in (orphan, own.pid)):
    time.sleep(0.01)
orphans = Orphans()
assert orphans.check() == [], "its parent could still wait for it"
assert own.wait() == 0, "whoever has started a process gets its status"
assert orphans.check() == [orphan]
assert not os.path.exists(f"/proc/{orphan}")
assert orphans.check() == []
"""


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds dead processes in /proc")
def test_an_orphan_is_reaped_when_nobody_has_waited_for_it() -> None:
    subprocess.run([sys.executable, "-c", ADOPT], check=True, timeout=60)
