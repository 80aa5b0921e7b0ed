"""The density benchmark counts what viewers really get: without pictures on the wire its figures would be worth
nothing.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from visavis.bench.density import measure, prepared


def test_sessions_are_performed_and_their_pictures_counted_at_the_viewers(tmp_path: Path) -> None:
    pack = asyncio.run(prepared(tmp_path))
    (step,) = asyncio.run(measure(tmp_path, pack, first=2, most=2, stages=1, settle_s=1.0, measure_s=2.0))
    assert step.sessions == 2
    assert 0 < step.fps_least <= step.fps_mean < 35  # 25, and the first keyframe's burst at most
    assert step.longest_gap_ms > 0
    assert step.spoken > 0.2
    if sys.platform != "linux":
        pytest.skip("processor time and memory are read from /proc")
    assert step.stage_cores > 0 and step.stage_mb > 20
