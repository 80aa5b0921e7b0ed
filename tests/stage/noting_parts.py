"""The parts of breaking_parts.py, which also note in the data folder who loads a pack: "<process id> <avatar>"."""

from __future__ import annotations

import os
from pathlib import Path

from tests.stage.breaking_parts import _BreakingParts
from tests.stage.flashing_parts import _FlashingAvatar


class _NotingParts(_BreakingParts):
    def load_avatar(self, path: Path) -> _FlashingAvatar:
        avatar_id = path.parents[1].name  # <data>/avatars/<avatar>/packs/<digest>
        with (path.parents[3] / "loads").open("a") as log:
            log.write(f"{os.getpid()} {avatar_id}\n")
        return super().load_avatar(path)


def parts() -> _NotingParts:
    return _NotingParts()
