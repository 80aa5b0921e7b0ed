"""The environment of mediapipe. `python -m tools.mediapipe.environment` makes it once, in the tests' cache, from the
lock beside this file, and prints its Python. It takes 450 MB.
"""

from __future__ import annotations

from pathlib import Path

from tools.environments import made

PROJECT = Path(__file__).parent


def prepare() -> Path:
    """Return the environment's Python. Raises FileNotFoundError without uv, and `SubprocessError` where nothing can be
    fetched or there is no Python for which mediapipe has a wheel.
    """
    lock = (PROJECT / "uv.lock").read_bytes() + (PROJECT / "pyproject.toml").read_bytes()
    return made("mediapipe", lock, [["sync", "--project", str(PROJECT), "--frozen"]])


if __name__ == "__main__":
    print(prepare())
