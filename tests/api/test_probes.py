"""What the server finds out about itself, with times that the test chooses, and what /readyz says of it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from tests.conftest import Service, open_service
from tests.fakes import FakeFleet
from tests.virtual_clock import run_virtually
from visavis.api import probes
from visavis.api.probes import ANSWER_WITHIN_S, ASK_EVERY_S, REMEMBER_S, LoopDelay, Probe
from visavis.store.disk import disk_problem

ENOUGH = 1024 * 1024


class Thing:
    """Something that is asked: it answers `answer`, raises it, or hangs."""

    def __init__(self) -> None:
        self.answer: str | Exception | None = None
        self.hangs = False
        self.asked = 0

    async def ask(self) -> str | None:
        self.asked += 1
        if self.hangs:
            await anyio.sleep_forever()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def test_a_probe_tells_the_last_answer_and_that_none_comes() -> None:
    thing = Thing()

    async def scenario() -> None:
        probe = Probe("The thing", thing.ask, clock_s=anyio.current_time)
        assert probe.problem is None, "it was not asked yet"
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(probe.run)
            await anyio.sleep(0.1)
            assert (thing.asked, probe.problem) == (1, None)
            thing.answer = "it is broken"
            await anyio.sleep(ASK_EVERY_S)
            assert probe.problem == "The thing: it is broken"
            thing.answer = OSError("it is gone")
            await anyio.sleep(ASK_EVERY_S)
            assert probe.problem == "The thing: it is gone"
            thing.answer, thing.hangs = None, True
            await anyio.sleep(ASK_EVERY_S)
            assert probe.problem == "The thing: it is gone", "it may still answer"
            await anyio.sleep(ANSWER_WITHIN_S + 1)
            assert probe.problem == "The thing has not answered for 3 s"
            assert thing.asked == 4, "it is asked again only when it has answered"
            tasks.cancel_scope.cancel()

    run_virtually(scenario)


def test_the_longest_delay_of_the_loop_is_told_for_half_a_minute() -> None:
    now_s = 0.0
    delay = LoopDelay(clock_s=lambda: now_s)
    delay.note(0.3)
    delay.note(0.001)
    assert delay.longest_ms == 300
    now_s = REMEMBER_S
    delay.note(0.002)
    assert delay.longest_ms == 300
    now_s = 2 * REMEMBER_S
    delay.note(0.003)
    assert delay.longest_ms == 3
    now_s = 10 * REMEMBER_S  # a machine that was suspended
    delay.note(0.001)
    assert delay.longest_ms == 1


def test_a_loop_that_is_held_is_late() -> None:
    clock_s = 0.0
    delay = LoopDelay(clock_s=lambda: clock_s)

    async def scenario() -> None:
        nonlocal clock_s
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(delay.run)
            await anyio.sleep(0.1)
            clock_s = 1.25  # the loop was held for a second
            await anyio.sleep(0.2)
            tasks.cancel_scope.cancel()

    run_virtually(scenario)
    assert delay.longest_ms == 1000


def test_a_folder_takes_files_or_says_why_not(tmp_path: Path) -> None:
    assert disk_problem(tmp_path, least_free_bytes=ENOUGH) is None
    assert list(tmp_path.iterdir()) == [], "nothing is left behind"
    scarce = disk_problem(tmp_path, least_free_bytes=2**62)
    assert scarce is not None and scarce.startswith("only ") and scarce.endswith(f"below {2**42} MiB")
    assert disk_problem(tmp_path / "gone", least_free_bytes=ENOUGH) == "No such file or directory"
    (tmp_path / "file").touch()
    assert disk_problem(tmp_path / "file", least_free_bytes=ENOUGH) == "Not a directory"


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="/proc takes no files")
def test_a_folder_that_cannot_be_written_says_so() -> None:
    assert disk_problem(Path("/proc"), least_free_bytes=0) is not None


class SilentFleet(FakeFleet):
    def problem(self) -> str | None:
        return "No stage process answers"


async def ready(service: Service) -> tuple[int, dict[str, object]]:
    service.services.readiness.stage = service.services.readiness.default_avatar = True
    answer = await service.client.get("/readyz")
    return answer.status_code, answer.json()


@pytest.mark.anyio
async def test_readyz_asks_the_stages(tmp_path: Path) -> None:
    async with open_service(tmp_path, fleet=SilentFleet()) as service:
        status, told = await ready(service)
        assert (status, told["status"], told["stage"]) == (503, "unready", False)
        assert told["problems"] == ["No stage process answers"]


@pytest.mark.anyio
async def test_a_full_fleet_is_ready(service: Service) -> None:
    service.fleet.places = 0
    assert (await ready(service))[0] == 200


@pytest.mark.anyio
async def test_readyz_asks_the_disk(tmp_path: Path) -> None:
    async with open_service(tmp_path, min_free_disk_mb=2**40) as service:
        await service.services.probes.disk.ask_once()
        status, told = await ready(service)
        assert (status, told["status"], told["disk"], told["database"]) == (503, "unready", False, True)
        assert isinstance(told["problems"], list) and told["problems"][0].startswith("The disk: only ")


@pytest.mark.anyio
async def test_readyz_and_healthz_answer_at_once_while_the_database_is_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The question to the database waits for 10 s; the answers to clients do not."""
    monkeypatch.setattr(probes, "ASK_EVERY_S", 3600)  # the server does not write while the test locks
    async with open_service(tmp_path) as service:
        for one in (service.services.probes.database, service.services.probes.disk):
            monkeypatch.setattr(one, "_clock_s", lambda: 0.0)  # the machine may stand still for longer than it may take
        with closing(sqlite3.connect(tmp_path / "visavis.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(service.services.probes.database.ask_once)
                await anyio.sleep(0.05)
                with anyio.fail_after(5):
                    status, told = await ready(service)
                    assert status == 200, f"it has not been silent for long: {told}"
                    assert (await service.client.get("/healthz")).status_code == 200
                other.execute("ROLLBACK")
