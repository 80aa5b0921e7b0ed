"""Disks that are full or read-only, for one command: mounted in a mount namespace of its own."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

WITHIN_S = 110
MOUNT = """
set -e
mount -t tmpfs -o size=64k tmpfs {full}
head -c 100000 /dev/zero > {full}/filled 2>&1 || true
mount -t tmpfs -o size=64k tmpfs {read_only}
mkdir {read_only}/data
mount -o remount,ro {read_only}
set +e
{command}
echo $? > {status}
ls -A {full} {read_only} > {left}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a command did. `left`: the names of all files on the two disks."""

    status: int
    output: str
    errors: str
    left: set[str]

    @property
    def line(self) -> str:
        """The only line on stderr."""
        assert len(self.errors.splitlines()) == 1, self.errors
        return self.errors.rstrip("\n")


class Disks:
    """Two folders in `folder`: `full` and `read_only`, on disks of their own while a command runs. `read_only/data` is
    an empty folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.full, self.read_only = folder / "full", folder / "read_only"
        for disk in (self.full, self.read_only):
            disk.mkdir()

    def run(self, command: str, **environment: str) -> Done:
        """Run a line of bash, in which $VISAVIS is the command."""
        status, left = self.folder / "status", self.folder / "left"
        paths = {"full": self.full, "read_only": self.read_only, "status": status, "left": left}
        script = MOUNT.format(command=command, **{name: shlex.quote(str(path)) for name, path in paths.items()})
        done = subprocess.run(
            ["unshare", "--mount", "bash", "-c", script],
            env=os.environ
            | {"VISAVIS": f"{sys.executable} -m visavis", "NO_COLOR": "1", "COLUMNS": "300"}
            | environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=WITHIN_S,
            check=True,
        )
        names = {name for name in left.read_text().split() if not name.endswith(":")} - {"filled", "data"}
        return Done(status=int(status.read_text()), output=done.stdout, errors=done.stderr, left=names)


def why_unavailable() -> str | None:
    """Return the reason why no disk can be mounted here, None if it can."""
    if shutil.which("unshare") is None:
        return "`unshare` is not installed (util-linux)"
    tried = subprocess.run(
        ["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, text=True, check=False
    )
    return None if tried.returncode == 0 else f"no disk can be mounted on this machine: {tried.stderr.strip()}"
