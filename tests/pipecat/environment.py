"""The environment of pipecat-visavis, which cannot be the server's: Pipecat needs a newer protobuf.

`python -m tests.pipecat.environment` makes it once, from the lock of integrations/pipecat, in the tests' cache.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROJECT = ROOT / "integrations" / "pipecat"
CLIENT = ROOT / "integrations" / "client"
UV = ROOT / ".uv" / "bin" / "uv"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "visavis-tests"
MADE_WITHIN_S = 600


class NoEnvironment(Exception):
    """The environment cannot be made; the message says why."""


def python() -> Path:
    """Return the Python of the environment; make it unless it is there. A second caller waits for the first. Raises
    `NoEnvironment`.
    """
    lock = (PROJECT / "uv.lock").read_bytes() + (PROJECT / "pyproject.toml").read_bytes()
    folder = CACHE / f"pipecat-{hashlib.sha256(lock).hexdigest()[:16]}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "pipecat.lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if not (folder / "made").exists():
            _make(folder)
    return folder / "bin" / "python"


def _make(folder: Path) -> None:
    if not UV.exists():
        raise NoEnvironment(f"{UV} is missing: run `make setup`")
    command = [
        str(UV),
        "sync",
        "--quiet",
        "--frozen",
        "--no-editable",
        "--no-install-project",
        "--project",
        str(PROJECT),
    ]
    command += ["--no-install-package", "visavis-client"]  # both come from this checkout, see `paths`
    env = os.environ | {"UV_PROJECT_ENVIRONMENT": str(folder)}
    env.pop("VIRTUAL_ENV", None)
    try:
        subprocess.run(command, env=env, check=True, timeout=MADE_WITHIN_S, capture_output=True, text=True)
    except (subprocess.SubprocessError, OSError) as error:
        said = (getattr(error, "stderr", "") or str(error)).strip().splitlines()
        raise NoEnvironment(said[-1] if said else type(error).__name__) from None
    (folder / "made").touch()


def paths() -> str:
    """Return the PYTHONPATH of what this checkout has."""
    return os.pathsep.join(str(project / "src") for project in (PROJECT, CLIENT))


if __name__ == "__main__":
    python()
