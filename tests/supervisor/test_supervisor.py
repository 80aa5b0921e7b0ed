"""A machine of a fleet with a real stage process and a real PostgreSQL: a server finds it in the database, and connects
with what it finds there.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
import structlog.testing
from sqlalchemy import select

from tests.packs import place_pack
from tests.processes import PYTHON_PATH
from tests.store.fleet_database import add_sessions, open_fleet, steady_server
from visavis.errors import StageNotAdmitted, StageRejected
from visavis.fleet.admission import Limits
from visavis.fleet.link import StageLink
from visavis.machine.network import MediaNetwork, PortRange
from visavis.stage.port.address import Address
from visavis.stage.port.messages import PORT_VERSION, End, Hello, HttpSource, Open
from visavis.stage.port.report import SessionShape
from visavis.stage.port.values import PerformanceSpec
from visavis.store import clock
from visavis.store.database import Database
from visavis.store.models import stages
from visavis.store.stage_tokens import StageTokens
from visavis.store.stages import StageStore
from visavis.supervisor import certificate
from visavis.supervisor.processes import ProcessOptions
from visavis.supervisor.supervisor import Supervisor, SupervisorOptions
from visavis.tls.renewal import LOOK_EVERY_S

pytestmark = pytest.mark.anyio

SMALL = SessionShape(width_px=160, height_px=120)
# As an operator sets it: the ports that are forwarded to the machine, and the address at which viewers reach it.
NETWORK = MediaNetwork(ports=PortRange.parse("21300-21399"), addresses=("203.0.113.7",))
WITHIN_S = 60.0  # a bound for a busy machine; what is waited for comes at once


class Machine:
    """A machine that performs, and its fleet's database."""

    def __init__(self, database: Database, folder: Path, supervisor: Supervisor, task: asyncio.Task[None]) -> None:
        self.database, self.folder, self.supervisor, self.task = database, folder, supervisor, task

    def process_id(self) -> int:
        """Of its one stage process, which runs."""
        (process_id,) = self.supervisor.process_ids
        return process_id

    async def rows(self) -> list[dict[str, object]]:
        """The rows that have not ended."""
        query = select(stages).where(stages.c.ended_at_ms.is_(None))
        async with self.database.read() as connection:
            return [dict(row) for row in (await connection.execute(query)).mappings()]

    async def connect(self, row: dict[str, object], *, token: str | None = None) -> StageLink:
        """Connect as a server does that has read a row."""
        hello = Hello(
            version=PORT_VERSION,
            token=str(row["port_token"]) if token is None else token,
            server_id="server",
            source=HttpSource(url="http://127.0.0.1:9", token="t"),
            owner_grace_s=0.0,
        )
        tls = ssl.create_default_context(cadata=str(row["certificate"]))
        return await StageLink.connect(Address.parse(str(row["address"])), hello, tls=tls)

    async def until(self, is_so: Callable[[list[dict[str, object]]], bool]) -> list[dict[str, object]]:
        async with asyncio.timeout(WITHIN_S):
            while not is_so(rows := await self.rows()):
                assert not self.task.done(), self.task
                await asyncio.sleep(0.02)
        return rows


@pytest.fixture
async def machine(postgresql_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Machine]:
    async with open_fleet(postgresql_url) as (database, _), running(database, tmp_path, monkeypatch) as found:
        yield found


@asynccontextmanager
async def running(database: Database, folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Machine]:
    monkeypatch.setenv("PYTHONPATH", PYTHON_PATH)
    _, token = await StageTokens(database).create("a machine")
    cache = folder / "cache" / "packs"
    cache.mkdir(parents=True)
    ref = place_pack(folder)
    ref.folder_in(folder / "avatars").rename(cache / ref.digest)
    supervisor = Supervisor(_options(database.url, token, folder))
    announced = asyncio.Event()
    task = asyncio.create_task(supervisor.run(announced.set))
    waiting = asyncio.create_task(announced.wait())
    try:
        await asyncio.wait((task, waiting), timeout=WITHIN_S, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
        yield Machine(database, folder, supervisor, task)
    finally:
        waiting.cancel()
        supervisor.stop()
        supervisor.stop()
        await asyncio.wait((task,), timeout=WITHIN_S)
        task.result()


def _options(url: str, token: str, folder: Path) -> SupervisorOptions:
    processes = ProcessOptions(
        listen=Address(host="127.0.0.1", port=0),
        count=1,
        cache=folder / "cache",
        network=NETWORK,
        limits=Limits(measured=False, sessions_per_stage=2),
        parts="tests.stage.flashing_parts:parts",
    )
    return SupervisorOptions(
        database_url=url, token=token, host="127.0.0.1", processes=processes, labels={"region": "eu"}, drain_s=WITHIN_S
    )


async def test_a_server_finds_the_machine_opens_a_session_there_and_the_machine_waits_for_its_end(
    machine: Machine, postgresql_url: str
) -> None:
    (row,) = await machine.rows()
    assert row["labels"] == {"region": "eu"} and not row["draining"]
    beside = machine.database.beside()
    server = await steady_server(machine.database, beside, "server")
    (session_id,) = await add_sessions(machine.database, 1)
    store = StageStore(machine.database, beside=beside)
    placed = await store.place(session_id, SMALL, epoch=0, by=server, labels={"region": "eu"})
    assert placed is not None and placed.stage_id == row["id"] and placed.address == row["address"]
    with pytest.raises(StageRejected, match="WRONG_STAGE_TOKEN"):
        await machine.connect(row, token="another")
    link = await machine.connect(row)
    heard = asyncio.create_task(link.listen(lambda _: None))
    spec = PerformanceSpec(
        session_id=session_id, pack=place_pack(machine.folder), width_px=160, height_px=120, epoch=placed.epoch
    )
    await link.request(session_id, placed.epoch, Open(spec=spec))
    machine.supervisor.stop()
    await machine.until(lambda rows: bool(rows[0]["draining"]))
    assert link.alive, "the session has its time"
    await link.request(session_id, placed.epoch, End())
    async with asyncio.timeout(WITHIN_S):
        await asyncio.wait((machine.task,))
    assert await machine.rows() == []
    await link.aclose()
    await heard
    await beside.aclose()


async def test_servers_see_a_renewed_certificate_of_the_machine(
    postgresql_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Files are taken when they have stayed the same from one look to the next.
    monkeypatch.setattr(certificate, "RENEWED_EVERY_S", 3 * LOOK_EVERY_S)

    async def serial(row: dict[str, object]) -> str:
        """As a server sees it that trusts what stood in the row at the start."""
        host, port = str(row["address"]).removeprefix("wss://").split(":")
        tls = ssl.create_default_context(cadata=str(row["certificate"]))
        _, writer = await asyncio.open_connection(host, int(port), ssl=tls)
        shown = writer.get_extra_info("peercert")["serialNumber"]
        writer.close()
        with contextlib.suppress(OSError):  # of TLS, too
            await writer.wait_closed()
        return str(shown)

    async with open_fleet(postgresql_url) as (database, _), running(database, tmp_path, monkeypatch) as machine:
        (row,) = await machine.rows()
        link = await machine.connect(row)
        before = await serial(row)
        async with asyncio.timeout(WITHIN_S):
            while await serial(row) == before:  # noqa: ASYNC110 (another process tells nobody)
                await asyncio.sleep(0.1)
        assert link.alive
        await link.aclose()


async def test_a_machine_whose_clock_is_wrong_enters_when_it_is_right(
    postgresql_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "time", SimpleNamespace(time=lambda: time.time() + 3_600))

    async def set_right(database: Database) -> None:
        async with asyncio.timeout(WITHIN_S):
            while not [one for one in logs if one["event"] == "stage_clock_wrong"]:  # noqa: ASYNC110 (nobody tells)
                await asyncio.sleep(0.02)
        async with database.read() as connection:
            assert (await connection.execute(select(stages))).all() == []
        monkeypatch.setattr(clock, "time", time)

    with structlog.testing.capture_logs() as logs:
        async with open_fleet(postgresql_url) as (database, _):
            setting = asyncio.create_task(set_right(database))
            async with running(database, tmp_path, monkeypatch) as machine:
                await setting
                assert len(await machine.rows()) == 1
    (told,) = [one for one in logs if one["event"] == "stage_clock_wrong"]
    assert 3_500 < told["ahead_of_database_s"] < 3_700


async def test_a_machine_that_the_database_does_not_admit_ends_with_the_reason(
    postgresql_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", PYTHON_PATH)
    (tmp_path / "cache").mkdir()
    with pytest.raises(StageNotAdmitted, match="wrong or was revoked"):
        await Supervisor(_options(postgresql_url, "wrong", tmp_path)).run(lambda: None)
    assert list((tmp_path / "cache").glob(".tls-*")) == []
