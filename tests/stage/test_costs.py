"""What sessions cost: kept true by what the stage takes and by the yardstick, and not misled by silence or noise."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from tests.stage.flashing_parts import parts
from visavis.stage import calibration
from visavis.stage.costs import CostModel, Measurement, Work
from visavis.stage.port.report import LIVE_FACTOR, UNMEASURED_COSTS, FrameCosts, SessionShape

MEASURED = Measurement(costs=FrameCosts(fixed_ms=3.0, per_mpx_ms=3.0), yardstick_ms=0.5)
FRAME_MS = MEASURED.costs.frame_ms(512, 512)


def model() -> CostModel:
    costs = CostModel()
    costs.measured = MEASURED
    return costs


def work(sessions: int, *, speaking: int = 25, silent: int = 0, viewers: int = 1) -> list[Work]:
    one = Work(width_px=512, height_px=512, fps=25, speaking_frames=speaking, silent_frames=silent, viewers=viewers)
    return [one] * sessions


def taken_s(sessions: int, *, factor: float = 1.0, viewers: int = 1, viewer_factor: float = 1.0) -> float:
    """What a second of speaking sessions takes if the measurement is right, times a factor, and viewers after the
    first times another.
    """
    frames_s = 25 * FRAME_MS * LIVE_FACTOR / 1000
    further_s = MEASURED.costs.further_viewer_cores(viewers - 1) * viewer_factor
    return sessions * factor * (frames_s + MEASURED.costs.viewer_cores(1) + further_s)


def factor(costs: CostModel) -> float:
    return costs.costs.fixed_ms / MEASURED.costs.fixed_ms


def test_an_unmeasured_machine_is_taken_for_a_slow_one() -> None:
    assert CostModel().costs == UNMEASURED_COSTS


def test_what_was_measured_holds_while_the_stage_takes_what_is_expected() -> None:
    costs = model()
    for _ in range(100):
        costs.learn_yardstick(0.5)
        costs.learn(work(4), used_s=taken_s(4), passed_s=1.0)
    assert factor(costs) == pytest.approx(1.0)


def test_a_clock_that_halves_doubles_the_costs_within_ten_seconds() -> None:
    """Once by the work of the stage, once by the yardstick alone, and both together do not count it twice."""
    working, resting, both = model(), model(), model()
    for _ in range(10):
        working.learn(work(4), used_s=taken_s(4, factor=2.0), passed_s=1.0)
    for second in range(10):
        if second % 2:
            resting.learn_yardstick(1.0)
            both.learn_yardstick(1.0)
        both.learn(work(4), used_s=taken_s(4, factor=2.0), passed_s=1.0)
    assert factor(working) == pytest.approx(2.0, abs=0.25)
    assert factor(resting) == pytest.approx(2.0)
    assert factor(both) == pytest.approx(2.0, abs=0.5)
    for _ in range(30):
        both.learn_yardstick(1.0)
        both.learn(work(4), used_s=taken_s(4, factor=2.0), passed_s=1.0)
    assert factor(both) == pytest.approx(2.0, abs=0.05)


@pytest.mark.parametrize("speed", [1.0, 1.5])
@pytest.mark.parametrize("viewer_factor", [0.5, 3.0])
def test_what_viewers_cost_is_learned_apart_from_what_frames_cost(speed: float, viewer_factor: float) -> None:
    costs = model()
    for viewers in (1, 100, 200):
        for _ in range(25):
            used_s = taken_s(1, factor=speed, viewers=viewers, viewer_factor=viewer_factor)
            costs.learn(work(1, viewers=viewers), used_s=used_s, passed_s=1.0)
    assert factor(costs) == pytest.approx(speed, rel=0.02)
    shape = SessionShape(width_px=512, height_px=512, viewers=300)
    right = taken_s(1, factor=speed, viewers=300, viewer_factor=viewer_factor)
    assert costs.costs.session_cores(shape) == pytest.approx(right, rel=0.03)


def test_a_session_that_nobody_watches_does_not_keep_what_viewers_cost_from_being_learned() -> None:
    costs = model()
    for _ in range(40):
        works = work(1, viewers=100) + work(1, speaking=0, viewers=0)
        costs.learn(works, used_s=taken_s(1, viewers=100, viewer_factor=2.0), passed_s=1.0)
    assert costs.costs.viewer_frames_per_s == pytest.approx(2 * MEASURED.costs.viewer_frames_per_s, rel=0.02)


def test_viewers_of_silence_or_of_a_lower_rate_teach_nothing_about_viewers() -> None:
    costs = model()
    for _ in range(50):
        costs.learn(work(1, speaking=0, silent=25, viewers=100), used_s=0.05, passed_s=1.0)
        costs.learn(work(1, speaking=12, viewers=100), used_s=0.05, passed_s=1.0)
    assert costs.costs == MEASURED.costs


def test_silent_sessions_teach_nothing_about_speech() -> None:
    costs = model()
    for _ in range(50):
        costs.learn(work(6, speaking=0, silent=25), used_s=0.05, passed_s=1.0)
        costs.learn(work(6, speaking=5, silent=20), used_s=0.05, passed_s=1.0)
        costs.learn([], used_s=0.9, passed_s=1.0)
    assert factor(costs) == pytest.approx(1.0)


def test_noise_moves_the_costs_little() -> None:
    noise, costs, seen = random.Random(3), model(), []
    for _ in range(300):
        costs.learn_yardstick(0.5 * noise.uniform(0.9, 1.2))
        costs.learn(work(3), used_s=taken_s(3, factor=noise.uniform(0.8, 1.2)), passed_s=1.0)
        seen.append(factor(costs))
    assert all(0.8 < one < 1.25 for one in seen[10:])


def test_yardsticks_that_were_disturbed_say_nothing_as_long_as_one_of_them_was_not() -> None:
    costs = model()
    for second in range(40):
        costs.learn_yardstick(0.5 if second % 5 == 0 else 0.9)
        costs.learn(work(3), used_s=taken_s(3), passed_s=1.0)
        assert factor(costs) == pytest.approx(1.0)


def test_no_figure_moves_the_costs_beyond_reason() -> None:
    costs = model()
    for _ in range(100):
        costs.learn_yardstick(1e9)
        costs.learn(work(3), used_s=1e9, passed_s=1.0)
    assert factor(costs) <= 8.0
    for _ in range(100):
        costs.learn_yardstick(1e-9)
        costs.learn(work(3), used_s=0.0, passed_s=1.0)
    assert factor(costs) >= 0.25


# --- measured and remembered


def test_a_measurement_is_remembered_by_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert calibration.remembered(tmp_path) is None
    calibration.remember(tmp_path, MEASURED)
    assert calibration.remembered(tmp_path) == MEASURED
    with monkeypatch.context() as other:
        other.setattr(calibration, "_machine_name", lambda: "another machine")
        assert calibration.remembered(tmp_path) is None
        calibration.remember(tmp_path, MEASURED)
    assert len(json.loads((tmp_path / calibration.FILE).read_text())) == 2
    assert calibration.remembered(tmp_path) == MEASURED


@pytest.mark.parametrize("content", ["", "[]", "7", "{}", '{"NAME": 5}', '{"NAME": {"fixed_ms": 1}}',
                                     '{"NAME": {"fixed_ms": -1, "per_mpx_ms": 1, "yardstick_ms": 1}}',
                                     '{"NAME": {"fixed_ms": NaN, "per_mpx_ms": 1, "yardstick_ms": 1}}'])  # fmt: skip
def test_a_damaged_memory_is_measured_again(tmp_path: Path, content: str) -> None:
    path = tmp_path / calibration.FILE
    path.write_text(content.replace("NAME", calibration._machine_name()))
    assert calibration.remembered(tmp_path) is None
    calibration.remember(tmp_path, MEASURED)
    assert calibration.remembered(tmp_path) == MEASURED


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    calibration.remember(tmp_path / "absent", MEASURED)
    assert calibration.remembered(tmp_path / "absent") is None


def test_measuring_takes_some_time_and_gives_costs(tmp_path: Path) -> None:
    measured = calibration.measure(parts().load_avatar(tmp_path), parts())
    assert measured.costs.fixed_ms > 0 and measured.costs.per_mpx_ms >= 0 and measured.yardstick_ms > 0
