"""Programs for tests that are built once from their Go modules, into a cache."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

BUILD_WITHIN_S = 900


@dataclass(frozen=True, slots=True)
class GoProgram:
    """`module`: the path of the command in its module. `folder`: the name of its place in the cache."""

    module: str
    version: str
    folder: str

    @property
    def cache(self) -> Path:
        caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        return caches / "visavis-tests" / f"{self.folder}-{self.version}"

    @property
    def path(self) -> Path:
        return self.cache / self.module.rpartition("/")[2]

    def build(self) -> None:
        """Build the program unless it is there; a second caller waits for the first. Raises `CalledProcessError`, and
        FileNotFoundError without Go.
        """
        self.cache.mkdir(parents=True, exist_ok=True)
        with (self.cache / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if self.path.exists():
                return
            go = shutil.which("go")
            if go is None:
                raise FileNotFoundError("go")
            building = self.cache / "building"
            env = os.environ | {"CGO_ENABLED": "0", "GOBIN": str(building)}
            command = [go, "install", f"{self.module}@{self.version}"]
            subprocess.run(command, env=env, check=True, timeout=BUILD_WITHIN_S, capture_output=True)
            (building / self.path.name).replace(self.path)
