"""The environment of pipecat-visavis, which cannot be the server's: Pipecat needs a newer protobuf.

`python -m tools.pipecat.environment` makes it once, in a cache, from the lock of integrations/pipecat.
"""

from __future__ import annotations

import os
from pathlib import Path

from tools.environments import made

ROOT = Path(__file__).parents[2]
PROJECT = ROOT / "integrations" / "pipecat"
CLIENT = ROOT / "integrations" / "client"


def prepare() -> Path:
    """Return the environment's Python; a second caller waits for the first. It lacks what this checkout has itself, see
    `paths`. Raises FileNotFoundError without uv, and `SubprocessError`.
    """
    lock = (PROJECT / "uv.lock").read_bytes() + (PROJECT / "pyproject.toml").read_bytes()
    sync = ["sync", "--project", str(PROJECT), "--frozen", "--no-editable"]
    return made("pipecat", lock, [[*sync, "--no-install-project", "--no-install-package", "visavis-client"]])


def paths() -> str:
    """Return the PYTHONPATH of what this checkout has."""
    return os.pathsep.join(str(project / "src") for project in (PROJECT, CLIENT))


if __name__ == "__main__":
    print(prepare())
