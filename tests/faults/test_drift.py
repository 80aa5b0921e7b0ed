"""Sound and lips drift apart by less than 5 ms an hour, at rates that fit no other rate, with uneven speech: at full
size an hour each, on a virtual clock.
"""

from __future__ import annotations

import pytest

from tests.faults.scale import only_in_full
from visavis.bench.slope import Slope
from visavis.bench.virtual_soak import simulate

HOURS = 1
ALLOWED_MS_PER_HOUR = 5.0


@only_in_full
@pytest.mark.parametrize("rate_hz", [44_100, 22_050, 11_127])
def test_sound_and_lips_do_not_drift_apart(rate_hz: int) -> None:
    found = simulate(seconds=HOURS * 3600, rate_hz=rate_hz)
    drift = Slope.of(found.av_offset_ms)
    print(rate_hz, drift, found.underruns, found.sent_s, found.played_s)
    assert drift is not None
    assert -ALLOWED_MS_PER_HOUR < drift.least <= drift.most < ALLOWED_MS_PER_HOUR
    assert abs(found.played_s - found.sent_s) < 0.001
