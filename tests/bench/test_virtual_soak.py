"""Sound and lips at the viewer, on a virtual clock: together after hours, at any rate, with pieces that come early and
late. Whole hours are simulated in tests/faults/test_drift.py.
"""

from __future__ import annotations

import json
from statistics import median

import pytest
from typer.testing import CliRunner

from visavis.bench.virtual_soak import VirtualSoak, simulate, viewer_time_s
from visavis.cli import app
from visavis.stage.timeline import PLAYOUT_RATE_HZ

HOUR = 3600 * PLAYOUT_RATE_HZ
WRAP_S = 2**32 / 90_000  # after 13 hours the RTP time of video begins anew


def offset_ms(found: VirtualSoak) -> float:
    assert len(found.av_offset_ms) >= 2
    return median(offset for _, offset in found.av_offset_ms)


@pytest.mark.parametrize("rate_hz", [44_100, 22_050])
def test_sound_and_lips_are_together_at_first_and_after_hours(rate_hz: int) -> None:
    for start in (0, round((WRAP_S - 30) * PLAYOUT_RATE_HZ)):
        found = simulate(seconds=42.0, rate_hz=rate_hz, start=start)
        assert abs(offset_ms(found)) < 5.0
        # Of the last sample, a fraction may be played.
        assert 0 <= found.played_s - found.sent_s < 1 / PLAYOUT_RATE_HZ


@pytest.mark.parametrize("hours", [0, 1, 13, 25, 100])
def test_a_viewer_has_one_time_for_sound_and_picture(hours: int) -> None:
    position = hours * HOUR
    for report_position in (position - PLAYOUT_RATE_HZ, position + 7):
        video_s = viewer_time_s("video", position, report_position=max(0, report_position))
        audio_s = viewer_time_s("audio", position, report_position=position)
        assert video_s == pytest.approx(audio_s, abs=1 / 90_000 + 1e-6)


def test_the_command_tells_offset_and_drift() -> None:
    result = CliRunner().invoke(app, ["bench", "soak", "--virtual", "--minutes", "0.5", "--rate", "16000", "--json"])
    assert result.exit_code == 0, result.output
    record = json.loads(result.stdout)
    assert (record["benchmark"], record["rate_hz"]) == ("virtual soak", 16_000)
    assert record["compared"] == 1 or record["underruns"]
    assert record["sent_s"] == pytest.approx(30, abs=1)
