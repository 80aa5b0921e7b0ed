"""The density benchmark counts what viewers really get: without pictures on the wire its figures would be worth
nothing.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from visavis.bench.density import measure, prepared
from visavis.bench.encoding import EncodingCost


def test_sessions_are_performed_and_their_pictures_counted_at_the_viewers(tmp_path: Path) -> None:
    pack = asyncio.run(prepared(tmp_path))
    costs = iter([0.04, 0.06])

    def measure_encoding() -> EncodingCost:  # tests/bench/test_encoding.py
        cores = next(costs)
        return EncodingCost(speaking_cores=cores, silent_cores=cores)

    (step,) = asyncio.run(
        measure(
            tmp_path,
            pack,
            measure_encoding=measure_encoding,
            first=2,
            most=2,
            stages=1,
            settle_s=1.0,
            measure_s=2.0,
        )
    )
    assert step.sessions == 2
    assert 0 < step.fps_least <= step.fps_mean < 35  # 25, and the first keyframe's burst at most
    assert step.longest_gap_ms > 0
    assert step.spoken > 0.2
    if sys.platform != "linux":
        pytest.skip("processor time and memory are read from /proc")
    assert step.stage_cores > 0 and step.stage_mb > 20
    assert step.encoding == EncodingCost(speaking_cores=0.05, silent_cores=0.05)  # the mean of before and after
    full_rate = replace(step, fps_mean=25.0, stage_cores=0.3, fleet_cores=0.0, spoken=1.0)
    assert full_rate.cost_ratio == 3.0
    assert replace(full_rate, fps_mean=20.0).cost_ratio is None
    assert "encoding" not in step.members()
