"""The node_modules of @visavis/livekit-agents: LiveKit's agents for Node, and what checks and tests the package.
`python -m tools.livekit.node_environment` makes them once, in the tests' cache, from the package's lock.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
from pathlib import Path

from tools.environments import CACHE, MADE_WITHIN_S

PROJECT = Path(__file__).parents[2] / "integrations" / "livekit-node"


def prepare() -> Path:
    """Return the package's folder, which has its node_modules then; a second caller waits for the first. Raises
    FileNotFoundError without npm, and `SubprocessError` if npm fails.
    """
    link = PROJECT / "node_modules"
    if link.is_dir() and not link.is_symlink():
        return PROJECT  # a developer's own
    files = [PROJECT / "package.json", PROJECT / "package-lock.json"]
    content = b"".join(file.read_bytes() for file in files)
    folder = CACHE / f"livekit-agents-node-{hashlib.sha256(content).hexdigest()[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if not (folder / "ready").exists():
            _install(folder, files)
            (folder / "ready").touch()
        if not link.is_symlink() or link.readlink() != folder / "node_modules":
            link.unlink(missing_ok=True)
            link.symlink_to(folder / "node_modules")
    return PROJECT


def _install(folder: Path, files: list[Path]) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise FileNotFoundError("npm")
    for file in files:
        shutil.copy(file, folder)
    command = [npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--silent"]
    subprocess.run(command, cwd=folder, check=True, timeout=MADE_WITHIN_S, capture_output=True)


if __name__ == "__main__":
    print(prepare())
