"""The benchmark of viewers: what it concludes, and that real viewers get what it counts."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from tests.rooms.media import RecordedEvents
from visavis.bench.audience import Audience, Step, carried, conclude, counts_up_to, measure, wanted_viewers
from visavis.bench.density import prepared
from visavis.errors import RoomFull
from visavis.rooms.embedded.room import EmbeddedRoom


def step(viewers: int, stage_cores: float, *, fps: float = 25.0) -> Step:
    return Step(
        viewers=viewers,
        fps_least=fps,
        fps_mean=fps,
        sound_least=50.0,
        sound_missing=0,
        stage_cores=stage_cores,
        viewer_cores=0.0,
        joining_ms=0.0,
    )


def test_the_session_is_not_counted_to_its_viewers() -> None:
    costs = conclude([step(1, 0.2), step(50, 0.3), step(401, 1.0)])
    assert costs.session_cores == 0.2 and costs.viewer_cores == pytest.approx(0.002)
    assert costs.viewers_per_core == 401


def test_a_session_that_takes_more_than_a_core_carries_one_viewer() -> None:
    assert conclude([step(1, 1.2), step(50, 1.3)]).viewers_per_core == 1


def test_the_last_step_has_the_number_that_was_asked_for() -> None:
    assert counts_up_to(2) == [1, 2] and counts_up_to(50) == [1, 50] and counts_up_to(400) == [1, 50, 100, 200, 400]


def test_a_slower_machine_shall_carry_fewer() -> None:
    assert [wanted_viewers(fps) for fps in (250.0, 500.0, 144.0)] == [400, 800, 231]


def test_a_step_that_was_slowed_down_says_so() -> None:
    assert step(1, 0.1).whole and not step(1, 0.1, fps=20.0).whole


def test_only_viewers_with_all_pictures_count_as_carried() -> None:
    assert carried([step(1, 0.2), step(50, 0.3), step(400, 0.9), step(800, 1.0, fps=20.0)]) == 400
    assert carried([step(1, 0.2, fps=20.0)]) == 0


def test_costs_are_those_of_the_last_step_with_all_pictures() -> None:
    costs = conclude([step(1, 0.2), step(401, 0.8), step(500, 0.9, fps=12.0)])
    assert costs.viewer_cores == pytest.approx(0.0015)


def test_a_room_that_takes_no_more_ends_the_measurement() -> None:
    async def grow() -> tuple[str, int]:
        room = EmbeddedRoom(RecordedEvents(), wall_clock_at_start_ns=0)

        async def offer(number: int, sdp: str) -> str:
            if number == 2:
                raise RoomFull
            return await room.offer(viewer_id=str(number), sdp=sdp)

        audience = Audience(offer)
        try:
            return await audience.grow(5), len((await audience.count())["pictures"])
        finally:
            await audience.aclose()
            await room.aclose()

    assert asyncio.run(grow()) == ("room_full", 2)


def test_viewers_are_counted_at_the_viewers(tmp_path: Path) -> None:
    pack = asyncio.run(prepared(tmp_path))
    measured = asyncio.run(measure(tmp_path, pack, [1, 3], settle_s=0.5, measure_s=1.0))
    assert measured.ended == "all"
    alone, three = measured.steps
    assert (alone.viewers, three.viewers) == (1, 3)
    assert 0 < three.fps_least <= three.fps_mean < 35
    assert three.sound_missing == 0 and three.sound_least > 30
    if sys.platform != "linux":
        pytest.skip("processor time is read from /proc")
    assert three.stage_cores > 0 and three.viewer_cores > 0
