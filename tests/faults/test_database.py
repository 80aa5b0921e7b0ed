"""A database that fails while sessions end: they end all the same, at the right time and for the right reason, and no
other session notices. SQLite itself fails here: its file is locked, read-only, or as large as it may be.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
import structlog.testing
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from tests.conftest import Service
from tests.faults.scale import SCALE
from tests.sessions.test_live_sessions import TIMEOUT_S, create, init, last_event, speech, store, stored, wait_for_end
from visavis.accounts import service as accounts_service
from visavis.api import probes
from visavis.channel.port import SessionOver
from visavis.errors import VisavisError
from visavis.sessions import ends, meter
from visavis.sessions.lifecycle import EndReason
from visavis.sessions.sweep import sweep_sessions
from visavis.store.sessions import SessionStore

pytestmark = pytest.mark.anyio

Fault = Callable[[Service, Path], AbstractAsyncContextManager[None]]


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ends, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(ends, "LONGEST_PAUSE_S", 0.05)
    monkeypatch.setattr(ends, "WAIT_S", 0.05)
    # The tests ask and save themselves.
    monkeypatch.setattr(probes, "ASK_EVERY_S", 3600)
    monkeypatch.setattr(meter, "SAVE_EVERY_S", 3600)


@contextmanager
def with_pragma(service: Service, pragma: str, *, then: str) -> Iterator[None]:
    """Set a pragma in every connection that the server takes from now on; afterwards set `then`."""
    current = pragma

    def set_pragma(connection: Any, _record: object, _proxy: object) -> None:
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA {current}")
        cursor.close()

    event.listen(store(service)._database._engine.sync_engine, "checkout", set_pragma)
    yield
    current = then


@asynccontextmanager
async def another(folder: Path) -> AsyncIterator[Callable[[str], Awaitable[None]]]:
    """Another connection to the database. Its statements may wait for the server, so the server goes on meanwhile."""
    path = folder / "visavis.db"
    opened = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=TIMEOUT_S)
    with contextlib.closing(opened) as connection:

        async def execute(statement: str) -> None:
            await anyio.to_thread.run_sync(lambda: connection.execute(statement))

        yield execute


@asynccontextmanager
async def locked(service: Service, folder: Path) -> AsyncIterator[None]:
    """Another process writes, and does not finish."""
    async with another(folder) as execute:
        with with_pragma(service, "busy_timeout=20", then="busy_timeout=10000"):
            await execute("BEGIN IMMEDIATE")
            yield
            await execute("ROLLBACK")


@asynccontextmanager
async def read_only(service: Service, _folder: Path) -> AsyncIterator[None]:
    with with_pragma(service, "query_only=ON", then="query_only=OFF"):
        yield


@asynccontextmanager
async def full(service: Service, folder: Path) -> AsyncIterator[None]:
    """Every end needs one more page than the file may have."""
    async with another(folder) as execute:
        await execute("CREATE TABLE ballast (data BLOB)")
        await execute(
            "CREATE TRIGGER grow AFTER UPDATE OF status ON sessions"
            " BEGIN INSERT INTO ballast VALUES (zeroblob(100000)); END"
        )
        # SQLite takes the number of pages that there are
        with with_pragma(service, "max_page_count=1", then="max_page_count=1000000"):
            yield
        await execute("DROP TRIGGER grow")


FAULTS: dict[str, Fault] = {"locked": locked, "read_only": read_only, "full": full}


@pytest.mark.parametrize("fault", FAULTS)
async def test_an_end_that_cannot_be_written_ends_its_session_and_no_other(
    service: Service, tmp_path: Path, fault: str
) -> None:
    service.services.readiness.stage = service.services.readiness.default_avatar = True
    ending = [await create(service) for _ in range(3 * SCALE)]
    other = await create(service)
    attached = [await service.services.live.attach(init(session)) for session in ending]
    beside = await service.services.live.attach(init(other))
    with structlog.testing.capture_logs() as logs:
        async with FAULTS[fault](service, tmp_path):
            answers = [await service.client.put(f"/v1/sessions/{session['session_id']}/end") for session in ending]
            shown = [answer.json()["session"] for answer in answers]
            assert [(answer.status_code, one["status"]) for answer, one in zip(answers, shown, strict=True)] == [
                (200, "ended")
            ] * len(ending)
            for one in attached:
                with anyio.fail_after(TIMEOUT_S):
                    assert await last_event(one) == SessionOver(reason=EndReason.CLIENT)
            assert all(service.performer(session["session_id"]).ended for session in ending)
            # what clients see is what will be written
            for before in shown:
                seen = (await service.client.get(f"/v1/sessions/{before['session_id']}")).json()["session"]
                assert (seen["status"], seen["ended_at"]) == ("ended", before["ended_at"])
            running = (await service.client.get("/v1/sessions?status=started")).json()["sessions"]
            assert [session["session_id"] for session in running] == [other["session_id"]]
            again = (await service.client.put(f"/v1/sessions/{ending[0]['session_id']}/end")).json()["session"]
            assert again == shown[0]
            with contextlib.suppress(Exception):  # the sweep saves metering, which fails as well
                await sweep_sessions(store(service), service.services.live, created_ttl_s=3600)
            # the other session has noticed nothing
            await beside.speak(speech(b"\0\0", utterance_id="a"))
            ready = await service.client.get("/readyz")
            assert (ready.status_code, ready.json()["status"], ready.json()["database"]) == (503, "unready", False)
            decided = {one: end.ended_at_ms for one, end in service.services.live.ends.unwritten.items()}
            assert decided.keys() == {session["session_id"] for session in ending}
    for session in ending:
        record = await wait_for_end(service, session["session_id"])
        assert (record.end_reason, record.ended_at_ms) == (EndReason.CLIENT, decided[record.id])
    with anyio.fail_after(TIMEOUT_S):
        while service.services.live.ends.unwritten:  # noqa: ASYNC110 (the row is there before it is forgotten)
            await anyio.sleep(0.005)
    await service.services.probes.database.ask_once()
    assert (await service.client.get("/readyz")).status_code == 200
    assert (await stored(service, other["session_id"])).status == "started"
    assert [log["event"] for log in logs].count("session_ends_not_written") == 1


async def test_a_session_that_has_ended_can_be_deleted_also_while_its_end_is_being_written(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ends, "FIRST_PAUSE_S", 0.5)  # before it is tried again
    monkeypatch.setattr(ends, "LONGEST_PAUSE_S", 0.5)
    address = f"/v1/sessions/{(await create(service))['session_id']}"
    async with locked(service, tmp_path):
        assert (await service.client.put(f"{address}/end")).json()["session"]["status"] == "ended"
        refused = await service.client.delete(address)
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "STORAGE_UNUSABLE")
        monkeypatch.setattr(ends, "WAIT_S", TIMEOUT_S)
    deleted = await service.client.delete(address)
    assert deleted.status_code == 200, deleted.text
    assert (await service.client.get(address)).status_code == 404


async def test_minutes_and_concurrency_count_ends_that_are_not_written(service: Service, tmp_path: Path) -> None:
    session = await create(service)

    async def used() -> tuple[int, int]:
        now = (await service.client.get("/v1/usage")).json()["usage"]
        return now["concurrency"]["current"], now["included_minutes"]["used"]

    assert await used() == (1, 1)
    async with locked(service, tmp_path):
        await service.client.put(f"/v1/sessions/{session['session_id']}/end")
        assert await used() == (0, 1)
        assert (await service.client.get("/v1/usage")).json()["usage"]["active_sessions"] == []
    await wait_for_end(service, session["session_id"])


async def test_requests_that_only_read_are_answered_and_the_last_use_of_a_key_is_saved_later(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts_service, "USE_SAVED_EVERY_MS", 0)
    session, accounts = await create(service), service.services.accounts
    key_id = (await stored(service, session["session_id"])).key_id

    async def last_used_ms() -> int | None:
        return next(key.last_used_at_ms for key in await accounts.all() if key.id == key_id)

    await accounts.save_uses()
    before_ms = await last_used_ms()
    await anyio.sleep(0.002)  # two uses at different milliseconds
    async with locked(service, tmp_path):
        for path in ("/v1/sessions", f"/v1/sessions/{session['session_id']}", "/v1/avatars"):
            assert (await service.client.get(path)).status_code == 200
        with pytest.raises((OperationalError, VisavisError), match="locked"):
            await accounts.save_uses()
    assert await last_used_ms() == before_ms
    await accounts.save_uses()
    after_ms = await last_used_ms()
    assert before_ms is not None and after_ms is not None and after_ms > before_ms


async def test_a_start_that_cannot_be_written_is_refused_and_can_be_repeated(service: Service, tmp_path: Path) -> None:
    other, session = await create(service), await create(service, start=False)
    url = f"/v1/sessions/{session['session_id']}/start"
    with structlog.testing.capture_logs():
        async with locked(service, tmp_path):
            answer = await service.client.put(url)
            assert answer.status_code == 503
            assert session["session_id"] not in service.fleet.performers, "it has no place, so nothing was begun for it"
    assert (await service.client.put(url)).status_code == 200
    assert (await stored(service, other["session_id"])).status == "started"


async def test_an_end_whose_write_raises_anything_ends_alone(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = [await create(service) for _ in range(3)]
    move = SessionStore.move
    broken = sessions[0]["session_id"]

    async def fail(self: SessionStore, record: Any, **changes: Any) -> Any:
        if record.id == broken:
            raise ZeroDivisionError("a fault of ours")
        return await move(self, record, **changes)

    with monkeypatch.context() as patch, structlog.testing.capture_logs():
        patch.setattr(SessionStore, "move", fail)
        for session in sessions[:2]:
            service.performer(session["session_id"]).die()
        assert (await wait_for_end(service, sessions[1]["session_id"])).end_reason == EndReason.PERFORMER_LOST
        assert (await stored(service, sessions[2]["session_id"])).status == "started"
        assert (await service.client.get("/healthz")).status_code == 200
    assert (await wait_for_end(service, broken)).end_reason == EndReason.PERFORMER_LOST
