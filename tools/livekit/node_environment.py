"""The node_modules of @visavis/livekit-agents: LiveKit's agents for Node, and what checks and tests the package.
`python -m tools.livekit.node_environment` makes them once, in the tests' cache, from the package's lock.
"""

from __future__ import annotations

from pathlib import Path

from tools import node_modules

PROJECT = Path(__file__).parents[2] / "integrations" / "livekit-node"


def prepare() -> Path:
    """Return the package's folder, which has its node_modules then. Raises FileNotFoundError without npm, and
    `SubprocessError` if npm fails.
    """
    link = PROJECT / "node_modules"
    if link.is_dir() and not link.is_symlink():
        return PROJECT  # a developer's own
    modules = node_modules.made("livekit-agents-node", PROJECT)
    if not link.is_symlink() or link.readlink() != modules:
        link.unlink(missing_ok=True)
        link.symlink_to(modules)
    return PROJECT


if __name__ == "__main__":
    print(prepare())
