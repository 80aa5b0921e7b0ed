"""Environments of programs that tests and tools use and Visavis must not depend on: each has versions of its own, and
is made once, in the tests' cache.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import tempfile
from pathlib import Path

UV = Path(__file__).parents[1] / ".uv" / "bin" / "uv"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "visavis-tests"
MADE_WITHIN_S = 600


def made(name: str, content: bytes, commands: list[list[str]]) -> Path:
    """Return the Python of the environment with this content. The commands of uv make it, once: a second caller waits
    for the first. Raises FileNotFoundError without uv, and `SubprocessError` if a command fails.
    """
    if not UV.exists():
        raise FileNotFoundError(UV)
    folder = CACHE / f"{name}-{hashlib.sha256(content).hexdigest()[:12]}"
    venv = folder / "venv"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if not (folder / "ready").exists():
            env = os.environ | {"UV_PROJECT_ENVIRONMENT": str(venv), "VIRTUAL_ENV": str(venv)}
            for command in commands:
                arguments = [*command, str(venv)] if command[0] == "venv" else command
                subprocess.run(
                    [UV, *arguments, "--quiet"], env=env, check=True, timeout=MADE_WITHIN_S, capture_output=True
                )
            (folder / "ready").touch()
    return venv / "bin" / "python"


def run_tests(python: Path, arguments: list[str], project: Path, env: dict[str, str], within_s: float) -> str:
    """Run pytest in such an environment, without the measuring of coverage of this process; returns what it printed.
    Raises AssertionError, with its last words, if a test fails or the run is not done in time.
    """
    passed_on = {name: value for name, value in env.items() if not name.startswith(("COV", "PYTEST_"))}
    passed_on |= {"PYTHONUNBUFFERED": "1"}
    command = [str(python), "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    return run_program(command, project, passed_on, within_s)


def run_program(command: list[str], folder: Path, env: dict[str, str], within_s: float) -> str:
    """Run a program of tests, and return what it printed. Raises AssertionError, with its last words, if it fails or is
    not done in time.
    """
    with tempfile.TemporaryFile() as output:
        try:
            ended = subprocess.run(
                command,
                cwd=folder,
                env=env,
                timeout=within_s,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
            )
            how = None if ended.returncode == 0 else f"it ended with {ended.returncode}"
        except subprocess.TimeoutExpired:
            how = f"it was not done after {within_s} s"
        output.seek(0)
        printed = output.read().decode(errors="replace")
    assert how is None, f"{' '.join(command[:4])}: {how}:\n{printed[-8000:]}"
    return printed
