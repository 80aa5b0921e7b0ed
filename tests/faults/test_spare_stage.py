"""The spare stage: there from the start, and prepared for what the sessions show. Real processes with the tests' own
renderer.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import msgspec
import pytest

from tests.faults.test_lost_stages import Listener, kill
from tests.faults.test_silent_stages import WITHIN_S, processes_of
from tests.faults.waiting import until
from tests.fleet.test_stage_fleet import NUMBERS
from tests.packs import place_pack
from tests.processes import PYTHON_PATH
from tests.stage.breaking_parts import BREAKING_PACK
from visavis.fleet import spare_stage
from visavis.fleet.admission import Limits
from visavis.fleet.identity import next_identity
from visavis.fleet.local import LocalStage, LocalStages
from visavis.fleet.stages import StageFleet
from visavis.stage.port.events import PerformanceMoved
from visavis.stage.port.values import PerformanceSpec

pytestmark = pytest.mark.anyio

PARTS = "tests.stage.noting_parts:parts"


@pytest.fixture(autouse=True)
def _surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", PYTHON_PATH)
    monkeypatch.setattr(spare_stage, "AFTER_START_S", 0.0)
    monkeypatch.setattr(spare_stage, "AFTER_LOSS_S", 0.0)
    monkeypatch.setattr(spare_stage, "NEEDS_BYTES", 0)


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[StageFleet]:
    fleet = StageFleet(
        LocalStages(data_dir=tmp_path, max_stages=1, parts=PARTS), limits=Limits(measured=False), keep_spare=True
    )
    await fleet.start()
    try:
        with anyio.fail_after(WITHIN_S):
            yield fleet
    finally:
        await fleet.aclose()


async def until_spare(fleet: StageFleet) -> int:
    """Wait until the spare stage is there; return its process id."""
    assert fleet._spare is not None
    spare = fleet._spare
    await until(lambda: spare.stage is not None, seen=fleet.problem)
    return int(spare.stage.process.pid)  # type: ignore[union-attr]


def spec(data_dir: Path, pack: bytes, session_id: str = "") -> PerformanceSpec:
    return PerformanceSpec(
        session_id=session_id or f"sess_{next(NUMBERS)}",
        pack=place_pack(data_dir, f"avat_{pack.decode()}", pack),
        width_px=160,
        height_px=120,
    )


def loads(data_dir: Path) -> list[tuple[int, str]]:
    """Return which process has loaded which pack, in order."""
    log = data_dir / "loads"
    lines = log.read_text().splitlines() if log.exists() else []
    return [(int(line.split()[0]), line.split()[1]) for line in lines]


async def test_it_is_there_before_the_first_session(fleet: StageFleet) -> None:
    await until_spare(fleet)
    assert fleet.capacity().sessions == 0 and len(fleet._stages) == 1


async def test_it_loads_what_most_sessions_show_before_they_move_to_it(fleet: StageFleet, tmp_path: Path) -> None:
    spare = await until_spare(fleet)
    performers = [await fleet.allocate(spec(tmp_path, pack)) for pack in (b"one", b"two", b"two")]
    await until(lambda: (spare, "avat_two") in loads(tmp_path), seen=lambda: loads(tmp_path))
    listeners = [Listener(performer) for performer in performers]
    kill(processes_of(fleet)[0])
    for listener in listeners:
        await listener.until(PerformanceMoved)
    assert loads(tmp_path).count((spare, "avat_two")) == 1, "it was not loaded again"


async def test_a_lost_stage_is_replaced_though_the_start_of_the_spare_one_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spare_stage, "TAKE_WITHIN_S", 0.1)
    supply = HangingSupply(data_dir=tmp_path, max_stages=1, parts=PARTS)
    fleet = StageFleet(supply, limits=Limits(measured=False), keep_spare=True)
    try:
        with anyio.fail_after(WITHIN_S):
            await fleet.start()
            performer = await fleet.allocate(spec(tmp_path, b"one"))
            listener = Listener(performer)
            await supply.hangs.wait()
            kill(processes_of(fleet)[0])
            await listener.until(PerformanceMoved)
    finally:
        await fleet.aclose()
    assert supply.pids == []


class HangingSupply(LocalStages):
    """Its second stage never starts."""

    def __init__(self, *, data_dir: Path, max_stages: int, parts: str) -> None:
        super().__init__(data_dir=data_dir, max_stages=max_stages, parts=parts)
        self.opened = 0
        self.hangs = asyncio.Event()

    async def open(self) -> LocalStage:
        self.opened += 1
        if self.opened == 2:
            self.hangs.set()
            await asyncio.Event().wait()
        return await super().open()


async def test_servers_one_after_the_other_have_one_spare_stage(tmp_path: Path) -> None:
    pids: list[set[int]] = []
    for _ in range(3):
        supply = LocalStages(data_dir=tmp_path, identity=next_identity(tmp_path), max_stages=1, parts=PARTS)
        fleet = StageFleet(supply, limits=Limits(measured=False), keep_spare=True)
        with anyio.fail_after(WITHIN_S):
            adopted = await fleet.adopt()
            await fleet.start()
            if not pids:
                await fleet.allocate(spec(tmp_path, b"one"))
            await until_spare(fleet)
        assert len(adopted) == min(1, len(pids)) and len(fleet._stages) == 1
        pids.append(set(supply.pids))
        await (fleet.let_go() if len(pids) < 3 else fleet.aclose())
    assert [len(one) for one in pids] == [2, 2, 2] and pids[0] == pids[1] == pids[2]


async def test_a_pack_that_breaks_it_is_not_prepared_again(fleet: StageFleet, tmp_path: Path) -> None:
    spare = await until_spare(fleet)
    performer = await fleet.allocate(spec(tmp_path, b"good"))
    bad = place_pack(tmp_path, "avat_bad", BREAKING_PACK)
    performer.kept.spec = msgspec.structs.replace(performer.kept.spec, pack=bad)
    assert fleet._spare is not None
    fleet._spare.prepare()
    while await until_spare(fleet) == spare:  # noqa: ASYNC110 (the fleet tells nobody)
        await asyncio.sleep(0.02)
    again = await until_spare(fleet)
    assert again != spare and fleet._spare.prepared is None
    assert (spare, "avat_bad") in loads(tmp_path) and (again, "avat_bad") not in loads(tmp_path)
    assert performer.link is fleet._stages[0].link
