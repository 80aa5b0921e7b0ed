"""A processor that is too old is named in one line, not by a traceback of numpy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from visavis.machine.processor import CPUINFO, missing_features, problem

# Of /proc/cpuinfo: the types of CPU that QEMU gives to virtual machines, and an ARM.
QEMU64 = (
    "flags\t\t: fpu de pse tsc msr pae mce cx8 sse sse2 ht syscall nx lm nopl cpuid pni cx16 hypervisor lahf_lm svm\n"
)
NEHALEM = (
    "vendor_id\t: GenuineIntel\n"
    "flags\t\t: fpu vme sse sse2 ht syscall nx lm pni ssse3 cx16 sse4_1 sse4_2 popcnt hypervisor lahf_lm\n"
)
NEOVERSE = "Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp\n"


def test_what_is_missing_is_named() -> None:
    assert missing_features(QEMU64) == ["popcnt", "sse4_1", "sse4_2", "ssse3"]
    assert missing_features(NEHALEM) == missing_features(NEOVERSE) == missing_features("") == []


def test_this_machine_and_one_without_proc_run(tmp_path: Path) -> None:
    assert problem() is problem(tmp_path / "none") is None


@pytest.mark.skipif(not CPUINFO.exists(), reason="only Linux tells the features of its processor there")
@pytest.mark.parametrize("command", ["serve", "--version", "render"])
def test_every_command_says_it_in_one_line_before_it_imports_anything(command: str, tmp_path: Path) -> None:
    recorded = tmp_path / "cpuinfo"
    recorded.write_text(QEMU64)
    on_it = (
        "import sys\n"
        "from visavis.machine import processor\n"
        "from pathlib import Path\n"
        f"processor.problem.__defaults__ = (Path({str(recorded)!r}),)\n"
        "sys.modules['numpy'] = sys.modules['typer'] = None\n"
        "from visavis.__main__ import main\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", on_it, command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "visavis: this processor lacks popcnt, sse4_1, sse4_2, ssse3 of x86-64-v2, which Visavis needs; "
        "in a virtual machine, set the type of its CPU to host\n"
    )
