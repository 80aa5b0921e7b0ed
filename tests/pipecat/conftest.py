from __future__ import annotations

from tests.livekit.conftest import livekit

__all__ = ["livekit"]
