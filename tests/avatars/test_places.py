"""Few places, many who want them: bounded, fair, and never all for one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest

from visavis.avatars.places import Places
from visavis.errors import NoCapacity

pytestmark = pytest.mark.anyio


class Crowd:
    """Holders that want places. `inside`: who has one, in the order in which they came."""

    def __init__(self, tasks: anyio.abc.TaskGroup, places: Places) -> None:
        self._tasks, self._places = tasks, places
        self.inside: list[str] = []
        self._leave: dict[str, anyio.Event] = {}
        self._scopes: dict[str, anyio.CancelScope] = {}

    async def wants(self, *names: str) -> None:
        """Each name is a holder and a number: "a1" is the first work of a."""
        for name in names:
            self._tasks.start_soon(self._one, name)
            await anyio.wait_all_tasks_blocked()

    async def _one(self, name: str) -> None:
        self._leave[name], self._scopes[name] = anyio.Event(), anyio.CancelScope()
        with self._scopes[name]:
            async with self._places.place(name[0]):
                self.inside.append(name)
                await self._leave[name].wait()
        if name in self.inside:
            self.inside.remove(name)

    async def leaves(self, *names: str) -> None:
        for name in names:
            self._leave[name].set()
            await anyio.wait_all_tasks_blocked()

    async def gives_up(self, *names: str) -> None:
        for name in names:
            self._scopes[name].cancel()
        await anyio.wait_all_tasks_blocked()


@asynccontextmanager
async def crowd(*, at_once: int, waiting: int) -> AsyncIterator[Crowd]:
    places = Places(at_once=at_once, waiting=waiting, things="photos")
    async with anyio.create_task_group() as tasks:
        yield Crowd(tasks, places)
        tasks.cancel_scope.cancel()


async def test_one_holder_never_has_every_place() -> None:
    async with crowd(at_once=3, waiting=8) as people:
        await people.wants("a1", "a2", "a3", "a4", "b1")
        assert people.inside == ["a1", "a2", "b1"]
        await people.leaves("b1")
        assert people.inside == ["a1", "a2"], "the last place is kept for others"


async def test_a_single_place_serves_one_holder_too() -> None:
    async with crowd(at_once=1, waiting=8) as people:
        await people.wants("a1", "a2")
        assert people.inside == ["a1"]
        await people.leaves("a1")
        assert people.inside == ["a2"]


async def test_who_waits_is_served_holder_by_holder() -> None:
    async with crowd(at_once=1, waiting=8) as people:
        await people.wants("a1", "a2", "a3", "a4", "b1", "c1")
        served = []
        for _ in range(6):
            served += people.inside
            await people.leaves(people.inside[0])
        assert served == ["a1", "a2", "b1", "c1", "a3", "a4"]


async def test_no_holder_takes_all_that_may_wait() -> None:
    async with crowd(at_once=1, waiting=4) as people:
        places = people._places
        await people.wants("a1", "a2", "a3")
        with pytest.raises(NoCapacity, match="of yours"):
            async with places.place("a"):
                pass
        await people.wants("b1", "b2")
        with pytest.raises(NoCapacity):
            async with places.place("c"):
                pass
        await people.leaves("a1")
        await people.wants("c1")
        await people.leaves("a2", "b1", "c1")
        assert people.inside == ["a3"]


async def test_nobody_waits_where_nobody_may() -> None:
    async with crowd(at_once=1, waiting=0) as people:
        await people.wants("a1")
        with pytest.raises(NoCapacity):
            async with people._places.place("b"):
                pass


async def test_who_gives_up_takes_no_place() -> None:
    async with crowd(at_once=1, waiting=8) as people:
        await people.wants("a1", "a2", "b1")
        await people.gives_up("a2", "a1")
        assert people.inside == ["b1"]
        await people.leaves("b1")
        await people.wants("a3")
        assert people.inside == ["a3"]


async def test_a_place_that_comes_as_its_holder_gives_up_goes_on() -> None:
    async with crowd(at_once=1, waiting=8) as people:
        await people.wants("a1", "a2", "b1")
        people._leave["a1"].set()
        people._scopes["a2"].cancel()
        await anyio.wait_all_tasks_blocked()
        assert people.inside == ["b1"]
