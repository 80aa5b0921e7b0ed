"""What child processes inherit, and what they leave behind: few variables and no core dumps, so that no secret of the
parent gets into them or onto the disk.
"""

from __future__ import annotations

import contextlib
import os
import sys

if sys.platform != "win32":
    import resource

# The variables that a process needs to start. A secret can be in any other.
KEPT_VARIABLES = (
    "PATH",
    "PYTHONPATH",
    "PYTHONHOME",
    "LD_LIBRARY_PATH",
    "GLIBC_TUNABLES",
    "DYLD_LIBRARY_PATH",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "SYSTEMROOT",  # Windows: without it Python does not start
    "TEMP",
)
_NO_CORE_BYTES = 1  # Linux writes no core of one byte, and does not start a handler of cores either (fs/coredump.c)


def kept_environment() -> dict[str, str]:
    """Return the variables of this process that a child process gets."""
    return {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}


def forbid_core_dumps() -> None:
    """Let this process and its children write no core dump, which would hold their memory."""
    if sys.platform == "win32":
        return  # it writes none
    for most_bytes in (_NO_CORE_BYTES, 0):  # 0 is what is left where the hard limit is 0 already
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_CORE, (most_bytes, most_bytes))
            return
