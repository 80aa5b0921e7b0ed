"""Machines that stand in a database, as a server uses them that does not reach all of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
import structlog.testing

from tests.fakes import FakeFleet
from visavis.engine.pack.version import FORMAT_VERSION
from visavis.engine.pack_ref import PackRef
from visavis.errors import NoCapacity, PerformerLost
from visavis.fleet import placed
from visavis.fleet.moves import LostStage
from visavis.fleet.performer import StagePerformer
from visavis.fleet.placed import Directory, Machine, MachineFleet, PlacedFleet, PlaceOnMachine
from visavis.fleet.port import FleetRoom
from visavis.stage.port.address import Address
from visavis.stage.port.values import PerformanceSpec

pytestmark = pytest.mark.anyio

WITHIN_S = 20.0


class Stages(FakeFleet):
    """The stages of one machine. While there is a `trouble`, this server does not reach them."""

    def __init__(self) -> None:
        super().__init__()
        self.trouble: str | None = None
        self.taken_in: list[str] = []
        self.moving: tuple[list[StagePerformer], LostStage] = ([], LostStage(machine_id="", sessions=0, detail=""))

    async def start(self) -> None:
        if self.trouble == "silent":
            await asyncio.sleep(WITHIN_S)
        if self.trouble is not None:
            raise PerformerLost(self.trouble)

    def problem(self) -> str | None:
        return self.trouble

    def quiet(self) -> list[StagePerformer]:
        return []

    def surrender(self, detail: str) -> tuple[list[StagePerformer], LostStage]:
        return self.moving

    def take_in(self, performer: StagePerformer, lost: LostStage) -> None:
        self.taken_in.append(performer.session_id)


class Rows:
    """Two machines; the first is always the one with the least to do."""

    def __init__(self) -> None:
        self.stages = {"first": Stages(), "second": Stages()}
        self.placed: dict[str, str] = {}  # machine, by session
        self.ended: set[str] = set()

    async def place(self, session_id: str, shape: object, *, avoid: Collection[str] = ()) -> PlaceOnMachine | None:
        assert session_id not in self.placed, "a place is given back before another one is taken"
        found = next((one for one in self.stages if one not in avoid and one not in self.ended), None)
        if found is None:
            return None
        self.placed[session_id] = found
        addresses = (Address(host="127.0.0.1", port=1),)
        return PlaceOnMachine(machine=Machine(id=found, addresses=addresses, token="", authority_pem=None), ownership=1)

    async def release(self, session_id: str) -> None:
        self.placed.pop(session_id, None)

    async def end_lapsed(self) -> None:
        pass

    async def forget(self) -> None:
        pass

    async def leaving_among(self, machine_ids: Collection[str]) -> dict[str, bool]:
        return dict.fromkeys(self.ended & set(machine_ids), True)

    async def free(self, shapes: Collection[object]) -> tuple[FleetRoom, list[int]]:
        return FleetRoom(), [0 for _ in shapes]


@asynccontextmanager
async def fleet_on(rows: Rows) -> AsyncIterator[PlacedFleet]:
    fleet = PlacedFleet(cast(Directory, rows), lambda machine: cast(MachineFleet, rows.stages[machine.id]))
    try:
        yield fleet
    finally:
        async with asyncio.timeout(WITHIN_S):
            await fleet.aclose()


def spec(session_id: str) -> PerformanceSpec:
    pack = PackRef(avatar_id="avat_test", version=FORMAT_VERSION, digest="0" * 64)
    return PerformanceSpec(session_id=session_id, pack=pack)


async def until(is_so: Any) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not is_so():  # noqa: ASYNC110 (nobody tells)
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("trouble", ["certificate verify failed", "silent"])
async def test_a_machine_that_is_not_reached_takes_no_session_from_the_others_until_it_is(
    trouble: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(placed, "REACHED_WITHIN_S", 0.1)
    monkeypatch.setattr(placed, "REACHED_AGAIN_S", 0.05)
    rows = Rows()
    first, second = rows.stages.values()
    first.trouble = trouble
    with structlog.testing.capture_logs() as logs:
        async with fleet_on(rows) as fleet:
            await fleet.allocate(spec("sess_a"))
            await fleet.allocate(spec("sess_b"))
            assert list(second.performers) == ["sess_a", "sess_b"] and not first.performers
            assert rows.placed == {"sess_a": "second", "sess_b": "second"}
            second.trouble = "its ports are closed"
            with pytest.raises(NoCapacity, match=r"has room for this session \(2 cannot be reached now\)"):
                await fleet.allocate(spec("sess_c"))
            assert "sess_c" not in rows.placed
            first.trouble = None
            await until(lambda: any(one["event"] == "machine_reached" for one in logs))
            await fleet.allocate(spec("sess_c"))
            assert list(first.performers) == ["sess_c"]
    told = [(one["machine"], one["problem"]) for one in logs if one["event"] == "machine_not_reached"]
    assert [machine for machine, _ in told] == ["first", "second"], "each once"
    assert trouble == "silent" or told[0][1] == trouble


async def test_a_session_of_a_lost_machine_goes_on_on_one_that_is_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placed, "TRY_AGAIN_S", 0.01)
    rows = Rows()
    rows.stages["third"] = Stages()
    async with fleet_on(rows) as fleet:
        await fleet.start()
        await fleet.allocate(spec("sess_a"))
        performer = StagePerformer(spec("sess_a"), cast(Any, None), asyncio.ensure_future, lambda _: None)
        first, second, third = rows.stages.values()
        first.moving = [performer], LostStage(machine_id="", sessions=1, detail="its machine is lost")
        second.trouble = "another machine has its name"
        rows.placed.clear()
        rows.ended.add("first")
        await until(lambda: third.taken_in)
    assert third.taken_in == ["sess_a"] and not second.taken_in and rows.placed == {"sess_a": "third"}
