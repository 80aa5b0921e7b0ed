"""Child processes get few variables and write no core dumps."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from visavis.engine.child_process import kept_environment

CRASH = """
import os, resource, sys
soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
from visavis.engine.child_process import forbid_core_dumps
{before}
os.abort()
"""


def writes_core(folder: Path, before: str) -> bool:
    """Let a process crash; return whether the system says that it has written a core dump."""
    pid = os.posix_spawn(
        sys.executable,
        [sys.executable, "-c", f"import os; os.chdir({str(folder)!r})\n" + CRASH.format(before=before)],
        os.environ,
        file_actions=[(os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0)],
    )
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status)
    return os.WCOREDUMP(status)


def test_a_crash_writes_no_core_dump(tmp_path: Path) -> None:
    """A system that writes none at all, for a process without a limit either, is one where this cannot fail."""
    assert not writes_core(tmp_path, "forbid_core_dumps()")
    assert not writes_core(tmp_path, "forbid_core_dumps(); forbid_core_dumps()")
    assert list(tmp_path.iterdir()) == []


def test_the_limit_of_core_dumps_is_at_most_a_byte() -> None:
    program = (
        "import resource\n"
        "from visavis.engine.child_process import forbid_core_dumps\n"
        "forbid_core_dumps(); print(resource.getrlimit(resource.RLIMIT_CORE))"
    )
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert printed in ("(0, 0)\n", "(1, 1)\n")


def test_a_hard_limit_of_nothing_is_no_error() -> None:
    program = (
        "import os, resource\n"
        "from visavis.engine.child_process import forbid_core_dumps\n"
        "resource.setrlimit(resource.RLIMIT_CORE, (0, 0))\n"
        "if os.getuid() == 0: os.setuid(65534)\n"  # who may not raise a hard limit
        "forbid_core_dumps(); print(resource.getrlimit(resource.RLIMIT_CORE))"
    )
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert printed == "(0, 0)\n"


def test_no_secret_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("VISAVIS_SECRET", "VISAVIS_STAGE_TOKEN", "CREDENTIALS_DIRECTORY", "AWS_SECRET_ACCESS_KEY", "HOME"):
        monkeypatch.setenv(name, "hush")
    monkeypatch.setenv("PATH", "/bin")
    kept = kept_environment()
    assert kept["PATH"] == "/bin" and "hush" not in kept.values()
