"""A fleet is updated under load: servers and machines of the version before (tests/version_before.py) and of this one
work side by side on one PostgreSQL, and each is replaced while two clients speak. No word is lost or said twice.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy import select

from tests import postgresql
from tests.faults.restarts import Client, Session
from tests.faults.test_interruptions import sound
from tests.postgresql import Cluster
from tests.supervisor.test_fleet_service import place_of, taken
from tests.supervisor.test_take_over import SETTINGS, owner_of
from tests.version_before import python_path
from visavis.accounts.service import Accounts
from visavis.demo.server_process import ServerProcess, free_port
from visavis.stage.port.messages import OLDEST_PORT_VERSION, PORT_VERSION
from visavis.store.database import Database
from visavis.store.models import sessions
from visavis.store.stage_tokens import StageTokens
from visavis.store.stages import StageStore

pytestmark = pytest.mark.anyio

WITHIN_S = 60.0  # a bound for a busy machine
PIECES = 10  # of 0.1 s, of each utterance
PAUSE_S = 0.4  # between two utterances: then a session may leave a machine that stops
DRAIN_S = "5"


class Program:
    """A version of Visavis that a process runs."""

    BEFORE, THIS = "before", "this"


def environment(program: str) -> dict[str, str]:
    return {"PYTHONPATH": python_path()} if program == Program.BEFORE else {}


@dataclass(slots=True)
class Server:
    """A server of the fleet at one address, of one version after the other. Their logs stand side by side."""

    folder: Path
    database_url: str
    port: int = field(default_factory=free_port)
    logs: list[Path] = field(default_factory=list)
    process: ServerProcess | None = None

    @asynccontextmanager
    async def running(self, program: str) -> AsyncIterator[ServerProcess]:
        self.folder.mkdir(exist_ok=True)
        self.logs.append(self.folder / f"{len(self.logs)}-{program}.log")
        settings = {
            "VISAVIS_DATABASE_URL": self.database_url,
            "VISAVIS_FLEET": "true",
            "VISAVIS_STAGE_SOURCE_URL": f"http://127.0.0.1:{self.port}",
            "VISAVIS_RATE_LIMIT_PER_MINUTE": "100000",
            **SETTINGS,
            **environment(program),
        }
        process = ServerProcess(port=self.port, data_dir=self.folder / "server", log=self.logs[-1], settings=settings)
        with process:
            await asyncio.to_thread(process.wait_ready)
            yield process


@dataclass(slots=True)
class Machine:
    """`visavis stage` with one process."""

    log: Path
    process: subprocess.Popen[bytes]

    async def ready(self) -> Machine:
        async with asyncio.timeout(WITHIN_S):
            while "performs sessions" not in self.log.read_text():
                assert self.process.poll() is None, self.log.read_text()
                await asyncio.sleep(0.05)  # another process tells nobody
        return self

    async def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(self.process.wait, WITHIN_S) == 0, self.log.read_text()


@contextmanager
def machine(folder: Path, database_url: str, token: str, program: str) -> Iterator[Machine]:
    folder.mkdir()
    (folder / "token").write_text(token)
    settings = {
        "VISAVIS_DATABASE_URL": database_url,
        "VISAVIS_STAGES": "1",
        "VISAVIS_ADMISSION": "counted",
        "VISAVIS_DRAIN_S": DRAIN_S,
        **environment(program),
    }
    files = ["--fleet-token-file", str(folder / "token"), "--cache", str(folder / "cache")]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "visavis", "stage", "--listen", "wss://127.0.0.1:0", *files],
            env=os.environ | settings,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield Machine(folder / "log", process)
    finally:
        process.terminate()
        process.terminate()
        process.wait(WITHIN_S)


@dataclass(slots=True)
class Balancer:
    """Leads clients to any server that is up."""

    up: list[Server]
    headers: dict[str, str]
    _next: int = 0

    @property
    def base_url(self) -> str:
        self._next += 1
        return f"http://127.0.0.1:{self.up[self._next % len(self.up)].port}"


class Talk:
    """A client that speaks one utterance after the other until it is told to stop."""

    def __init__(self, session: Session) -> None:
        self.session, self.client = session, Client(session, resume=True)
        self.said = 0
        self._stops = False
        self._task: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        await self.client.open()
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        while not self._stops:
            name = f"utterance {self.said}"
            for piece in range(PIECES):
                final = piece == PIECES - 1
                await self.client.send(type="agent.speak", audio=sound(0.1), utterance_id=name, final=final)
                await asyncio.sleep(0.05)
            await self.client.until("agent.playback.finished", utterance_id=name)
            self.said += 1
            await asyncio.sleep(PAUSE_S)

    async def end(self) -> None:
        assert self._task is not None
        self._stops = True
        await self._task

    def check(self) -> None:
        """All that was said was heard, once and to its end, in one conversation."""
        assert self.client.resumed[0] is False and all(self.client.resumed[1:]), self.client.resumed
        ends = self.client.all_of("agent.playback.finished")
        assert [(one["utterance_id"], one["position_s"], one["interrupted"]) for one in ends] == [
            (f"utterance {number}", PIECES / 10, False) for number in range(self.said)
        ]
        confirmed = sum(message["audio_samples"] for message in self.client.all_of("agent.speak.confirmed"))
        assert confirmed == self.said * PIECES * 1600


class Owners:
    """Who owns the two sessions."""

    def __init__(self, database: Database, *talks: Talk) -> None:
        self.database, self.talks = database, talks

    async def are(self) -> list[str | None]:
        return [await owner_of(self.database, talk.session.session_id) for talk in self.talks]

    async def until(self, *wanted: str | None) -> None:
        async with asyncio.timeout(WITHIN_S):
            while await self.are() != list(wanted):  # noqa: ASYNC110 (another process tells nobody)
                await asyncio.sleep(0.05)


async def until_said_more(*talks: Talk) -> None:
    """Wait until each has said two more utterances: one of them began after this."""
    wanted = [talk.said + 2 for talk in talks]
    async with asyncio.timeout(WITHIN_S):
        while any(talk.said < count for talk, count in zip(talks, wanted, strict=True)):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_each_server_and_machine_of_a_fleet_is_replaced_by_the_next_version_and_no_word_is_lost(
    postgresql_cluster: Cluster, tmp_path: Path
) -> None:
    url = postgresql.new_database(postgresql_cluster, migrated=False)
    one, other = Server(tmp_path / "one", url), Server(tmp_path / "other", url)
    async with AsyncExitStack() as stack:
        of_before = await stack.enter_async_context(one.running(Program.BEFORE))
        database = await Database.open(url)  # brings the schema up to date, as a server of this version does
        stack.push_async_callback(database.aclose)
        _, key = await Accounts(database).create(name="tests")
        _, token = await StageTokens(database).create("machines")

        old_machine = stack.enter_context(machine(tmp_path / "old", url, token, Program.BEFORE))
        of_this = await stack.enter_async_context(other.running(Program.THIS))
        await old_machine.ready()
        front = Balancer([other], {"x-api-key": key})
        first = Talk(await Session.start(front))  # this server, the machine of the version before
        machine_of_this = await stack.enter_context(machine(tmp_path / "new", url, token, Program.THIS)).ready()
        front.up = [one]
        second = Talk(await Session.start(front))  # the server of the version before, this machine
        talks = (first, second)
        owners = Owners(database, *talks)
        this_id, before_id = await owners.are()
        (on_old, _), (on_new, _) = [await place_of(database, talk.session.session_id) for talk in talks]
        assert this_id != before_id and on_old != on_new
        front.up = [one, other]
        for talk in talks:
            await talk.begin()
        await until_said_more(*talks)

        front.up = [one]
        os.kill(of_this.pid, signal.SIGKILL)
        await owners.until(before_id, before_id)
        await until_said_more(*talks)
        await asyncio.to_thread(of_this.wait)
        await stack.enter_async_context(other.running(Program.THIS))
        front.up = [other]
        os.kill(of_before.pid, signal.SIGTERM)
        await owners.until(this_id, this_id)
        await until_said_more(*talks)
        assert await asyncio.to_thread(of_before.wait) == 0
        await stack.enter_async_context(one.running(Program.THIS))
        front.up = [one, other]

        await old_machine.stop()
        await until_said_more(*talks)
        for talk in talks:
            stage_id, _ = await place_of(database, talk.session.session_id)
            assert stage_id not in (None, on_old), "both are on the machine of this version"
            await talk.end()
            talk.check()
            await talk.session.end()
        assert await taken(database) == [0] and await StageStore(database, beside=database).sums_are_right()
        async with database.read() as connection:
            ends = await connection.execute(select(sessions.c.status, sessions.c.end_reason))
            assert ends.all() == [("ended", "ended_by_client")] * 2
        machine_of_this.process.terminate()
    assert_no_traceback(tmp_path)
    spoke_the_oldest, spoke_the_newest = f"port_version={OLDEST_PORT_VERSION} ", f"port_version={PORT_VERSION} "
    assert spoke_the_oldest in other.logs[0].read_text(), "this server to the machine of before"
    assert spoke_the_oldest in machine_of_this.log.read_text(), "the server of before to this machine"
    assert spoke_the_newest in other.logs[1].read_text()


def assert_no_traceback(folder: Path) -> None:
    for log in folder.glob("*/*log"):
        assert "Traceback" not in log.read_text(), log
