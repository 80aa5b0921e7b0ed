"""The environment of openapi-python-client, a foreign generator of clients: it needs an older typer than the server.

`python -m tools.openapi_client` makes it once, in the tests' cache.
"""

from __future__ import annotations

from pathlib import Path

from tools.environments import made

NEEDED = ("openapi-python-client==0.29.1", "python-dateutil>=2.9")  # the latter is of the clients that it makes


def prepare() -> Path:
    """Return the environment's Python; a second caller waits for the first. Raises FileNotFoundError without uv, and
    `SubprocessError`.
    """
    commands = [["venv", "--python", "3.11"], ["pip", "install", *NEEDED]]
    return made("openapi-python-client", " ".join(NEEDED).encode(), commands)


if __name__ == "__main__":
    print(prepare())
