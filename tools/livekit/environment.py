"""The environment of livekit-plugins-visavis: the versions that livekit-agents needs
must not decide what the server runs on.
`python -m tools.livekit.environment` makes it once, in a cache, from the lock of the distribution.
"""

from __future__ import annotations

from pathlib import Path

from tools.environments import made

ROOT = Path(__file__).parents[2]
PROJECT = ROOT / "integrations" / "livekit"
OLD_RELEASE = "1.5.10"


def prepare() -> Path:
    """Return the environment's Python; a second caller waits for the first. Raises FileNotFoundError without uv, and
    `CalledProcessError`.
    """
    lock = (PROJECT / "uv.lock").read_bytes() + (PROJECT / "pyproject.toml").read_bytes()
    return _made(lock, [["sync", "--project", str(PROJECT), "--frozen", "--group", "dev"]])


def prepare_old() -> Path:
    """Likewise, for the oldest release whose audio output is tested. The plug-in itself needs a newer one."""
    needed = [f"livekit-agents=={OLD_RELEASE}", "openai<3", "pytest>=8.4", "pytest-timeout>=2.4", "numpy"]
    install = ["pip", "install", "--editable", str(ROOT / "integrations" / "client"), *needed]
    return _made(" ".join(needed).encode(), [["venv", "--python", "3.11"], install])


def _made(content: bytes, commands: list[list[str]]) -> Path:
    """Return the Python of the environment with this content, which belongs to this checkout: it has the plug-in's
    files.
    """
    return made("livekit-agents", str(ROOT).encode() + content, commands)


if __name__ == "__main__":
    print(prepare())
