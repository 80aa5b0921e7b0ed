"""The program `helm`, for tests. `python -m tools.helm` builds it once, from its Go module."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

VERSION = "v3.19.0"
MODULE = f"helm.sh/helm/v3/cmd/helm@{VERSION}"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "visavis-tests" / f"helm-{VERSION}"
PROGRAM = CACHE / "helm"
BUILD_WITHIN_S = 900


def build() -> None:
    """Build the program unless it is there; a second caller waits for the first. Raises `CalledProcessError`, and
    FileNotFoundError without Go.
    """
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if PROGRAM.exists():
            return
        go = shutil.which("go")
        if go is None:
            raise FileNotFoundError("go")
        building = CACHE / "building"
        env = os.environ | {"CGO_ENABLED": "0", "GOBIN": str(building)}
        subprocess.run([go, "install", MODULE], env=env, check=True, timeout=BUILD_WITHIN_S, capture_output=True)
        (building / "helm").replace(PROGRAM)


if __name__ == "__main__":
    build()
