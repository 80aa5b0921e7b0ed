"""Getting a performer for a look: its pack is made again, once, where a stage cannot read it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from visavis.engine.pack_ref import PackRef
from visavis.errors import PackUnreadable
from visavis.fleet.port import Fleet, Performer
from visavis.stage.port.values import PerformanceSpec

SpecWith = Callable[[PackRef], PerformanceSpec]
"""Gives what to perform, with the pack of the look."""


class Packs(Protocol):
    """The packs of looks."""

    async def pack_ref(self, look_id: str) -> PackRef:
        """Return the name of the look's pack. Raises `PackUnreadable` where it has none."""
        ...

    async def mend(self, look_id: str) -> None:
        """Make the look's pack again from its photo. Raises `PackUnreadable` where that cannot be done,
        `NoCapacity`.
        """
        ...


async def allocate(fleet: Fleet, packs: Packs, look_id: str, spec_with: SpecWith) -> tuple[Performer, PerformanceSpec]:
    """Return a performer, and what it was asked to perform. Raises what `Fleet.allocate` and `Packs.mend` raise."""
    try:
        spec = spec_with(await packs.pack_ref(look_id))
        return await fleet.allocate(spec), spec
    except PackUnreadable:
        await packs.mend(look_id)
        spec = spec_with(await packs.pack_ref(look_id))
        return await fleet.allocate(spec), spec
