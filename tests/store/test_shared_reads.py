"""Reads that many share: what each is told, and how many reads there are."""

from __future__ import annotations

from collections.abc import Mapping, Set

import anyio
import pytest

from visavis.errors import StorageUnusable
from visavis.store import shared_reads
from visavis.store.shared_reads import SharedRead

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_reads, "PATIENCE_S", 60)


class Table:
    """Rows that are read when the test says so."""

    def __init__(self) -> None:
        self.rows = {"a": 1, "b": 2}
        self.reads: list[Set[str]] = []
        self.gate = anyio.Event()
        self.error: Exception | None = None

    async def read(self, keys: Set[str]) -> Mapping[str, int]:
        self.reads.append(keys)
        found = {key: self.rows[key] for key in keys if key in self.rows}
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return found


async def test_one_read_answers_all_who_asked_while_another_was_under_way() -> None:
    table, told = Table(), {}
    shared = SharedRead(table.read)

    async def ask(name: str, key: str) -> None:
        told[name] = await shared.get(key)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask, "first", "a")
        await anyio.wait_all_tasks_blocked()
        for name, key in (("second", "a"), ("third", "b"), ("fourth", "nobody")):
            tasks.start_soon(ask, name, key)
        await anyio.wait_all_tasks_blocked()
        assert table.reads == [{"a"}]
        table.rows["a"] = 7  # written before the first read has ended, and after it began
        table.gate.set()
    assert told == {"first": 1, "second": 7, "third": 2, "fourth": None}
    assert table.reads == [{"a"}, {"a", "b", "nobody"}]


async def test_an_error_reaches_each_who_waited_for_that_read_and_nobody_else() -> None:
    table, failed = Table(), []
    table.error = StorageUnusable("no")
    table.gate.set()
    shared = SharedRead(table.read)

    async def ask(key: str) -> None:
        with pytest.raises(StorageUnusable, match="no"):
            await shared.get(key)
        failed.append(key)

    async with anyio.create_task_group() as tasks:
        for key in "ab":
            tasks.start_soon(ask, key)
    assert sorted(failed) == ["a", "b"]
    table.error = None
    assert await shared.get("b") == 2


async def test_who_leaves_takes_no_answer_from_the_others() -> None:
    table, told = Table(), {}
    shared = SharedRead(table.read)

    async def ask(key: str) -> None:
        told[key] = await shared.get(key)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask, "nobody")
        await anyio.wait_all_tasks_blocked()
        async with anyio.create_task_group() as leaving:
            leaving.start_soon(ask, "a")
            await anyio.wait_all_tasks_blocked()
            tasks.start_soon(ask, "b")  # waits for the read that the one who leaves is about to begin
            await anyio.wait_all_tasks_blocked()
            leaving.cancel_scope.cancel()
            table.gate.set()
    assert told["b"] == 2


async def test_a_read_that_hangs_holds_up_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_reads, "PATIENCE_S", 0.01)
    hangs = anyio.Event()

    async def read(keys: Set[str]) -> Mapping[str, str]:
        if "hangs" in keys:
            await hangs.wait()
        return {key: key for key in keys}

    shared = SharedRead(read)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(shared.get, "hangs")
        await anyio.wait_all_tasks_blocked()
        with anyio.fail_after(5):
            assert await shared.get("other") == "other"
        hangs.set()
    assert await shared.get("more") == "more"
