"""Whether this processor has what numpy and OpenCV are compiled for: on x86-64 the second level of its features
(x86-64-v2, all processors since 2009). Without it they end with a traceback, or by an illegal instruction.

Imports nothing slow: every command asks before all else.
"""

from __future__ import annotations

from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
# As the psABI of x86-64 lists them, in Linux's names. The rest of that level is in every x86-64.
_V2 = frozenset({"cx16", "lahf_lm", "pni", "popcnt", "sse4_1", "sse4_2", "ssse3"})


def missing_features(cpuinfo: str) -> list[str]:
    """Return what a processor lacks of x86-64-v2, sorted; nothing for other machines. `cpuinfo`: Linux's text."""
    flags = next((line for line in cpuinfo.splitlines() if line.startswith("flags")), None)
    if flags is None:  # arm64 has "Features"
        return []
    return sorted(_V2 - set(flags.partition(":")[2].split()))


def problem(cpuinfo: Path = CPUINFO) -> str | None:
    """Return in one line what is missing, None if nothing is or this is no Linux."""
    try:
        missing = missing_features(cpuinfo.read_text())
    except OSError:
        return None
    if not missing:
        return None
    return (
        f"this processor lacks {', '.join(missing)} of x86-64-v2, which Visavis needs; "
        "in a virtual machine, set the type of its CPU to host"
    )
