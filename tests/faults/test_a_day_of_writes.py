"""A day's load on SQLite within minutes: its log stays below 64 MB, whoever reads, backs up or sweeps meanwhile.

Only `make faults` runs it; tests/store/test_log_size.py has each part in little.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import anyio
import pytest
from anyio.to_thread import run_sync
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.conftest import Service, open_service
from tests.faults.scale import only_in_full
from tests.store.test_log_size import readers_without_a_pause
from visavis.sessions.retention import KeptDays, Retention
from visavis.store.backup import copy_database
from visavis.store.database import Database

pytestmark = pytest.mark.anyio

WRITES = 100_000  # transactions
CLIENTS = 12
MIB = 1024 * 1024
MOST_BYTES = 64 * MIB
SWEEPS = 20  # how often a copy is made, and the sessions that have ended are deleted
METADATA = {"note": "x" * 1000}


class Writes:
    """Counts the transactions of all databases while it is patched in."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        write = Database.write

        @asynccontextmanager
        async def counted(database: Database, *, turn: str | None = None) -> AsyncIterator[AsyncConnection]:
            self.count += 1
            async with write(database, turn=turn) as connection:
                yield connection

        monkeypatch.setattr(Database, "write", counted)


@contextlib.contextmanager
def watching(log: Path) -> Iterator[list[int]]:
    """Yield a list with the largest size that the log has had so far, in bytes."""
    largest, over = [0], threading.Event()

    def look() -> None:
        while not over.wait(0.005):
            with contextlib.suppress(FileNotFoundError):
                largest[0] = max(largest[0], log.stat().st_size)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield largest
    finally:
        over.set()
        thread.join()


async def live(service: Service, writes: Writes, number: int) -> None:
    """Create sessions, start and end them, and look at them, until all writes are made."""
    made = 0
    while writes.count < WRITES:
        made += 1
        headers = {"Idempotency-Key": f"{number}-{made}"}
        body = {"avatar_id": service.look_id, "metadata": METADATA}
        created = await service.client.post("/v1/sessions", json=body, headers=headers)
        assert created.status_code == 201, created.text
        address = f"/v1/sessions/{created.json()['session']['session_id']}"
        while (await service.client.post(f"{address}/start")).json()["ws_uri"] == "try_again":
            pass  # the server itself has waited a while
        ended = await service.client.post(f"{address}/end")
        assert ended.status_code == 200, ended.text
        assert (await service.client.get("/v1/sessions?limit=20")).status_code == 200


async def sweep(service: Service, writes: Writes, folder: Path, largest: list[int]) -> None:
    """Copy the database and delete what is over, again and again, until all writes are made."""
    services, swept = service.services, 0
    sweeping = services.retention
    everything = Retention(
        store=sweeping._store, avatars=sweeping._avatars, observer=sweeping._observer, kept=KeptDays(sessions=0)
    )
    while swept < SWEEPS:
        while writes.count < WRITES * (swept + 1) // SWEEPS:  # noqa: ASYNC110 (a count sends no event)
            await anyio.sleep(0.05)
        copy = folder / "copy.db"
        await run_sync(partial(copy_database, folder / "visavis.db", copy))
        copy.unlink()
        await everything.sweep()
        swept += 1
        print(f"{writes.count} writes, {swept} sweeps, the log had {largest[0] / MIB:.1f} MB at most")


@only_in_full
@pytest.mark.timeout(3600)  # half an hour beside other work
async def test_its_log_stays_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writes, began_s = Writes(monkeypatch), time.monotonic()
    async with open_service(tmp_path, max_created_sessions_per_account=1_000_000) as service:
        log = tmp_path / "visavis.db-wal"
        readers = readers_without_a_pause(tmp_path / "visavis.db", "SELECT count(*) FROM sessions")
        with watching(log) as largest, readers:
            async with anyio.create_task_group() as tasks:
                for number in range(CLIENTS):
                    tasks.start_soon(live, service, writes, number)
                await sweep(service, writes, tmp_path, largest)
        print(f"{time.monotonic() - began_s:.0f} s")
        assert 0 < largest[0] < MOST_BYTES
