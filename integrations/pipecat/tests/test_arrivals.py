"""When a viewer of the room joins again."""

from __future__ import annotations

import pytest
from pipecat_visavis.watching import CONNECTED_WITHIN_S, SILENT_S, Arrivals

pytestmark = pytest.mark.short


def test_a_connection_has_time_to_begin() -> None:
    arrivals = Arrivals(began_s=100.0)
    assert not arrivals.are_over(100.0 + CONNECTED_WITHIN_S - 0.1)
    assert arrivals.are_over(100.0 + CONNECTED_WITHIN_S)


@pytest.mark.parametrize("missing", ["audio", "video"])
def test_sound_without_pictures_and_pictures_without_sound_are_no_connection(missing: str) -> None:
    present = "video" if missing == "audio" else "audio"
    arrivals = Arrivals(began_s=100.0)
    for tenth in range(300):
        arrivals.came(present, 100.0 + tenth / 10)
    assert arrivals.are_over(100.0 + CONNECTED_WITHIN_S), "the other kind never came"
    arrivals.came(missing, 130.0)
    assert not arrivals.are_over(130.0)
    for tenth in range(1, 31):
        arrivals.came(present, 130.0 + tenth / 10)
    assert arrivals.are_over(130.0 + SILENT_S)
