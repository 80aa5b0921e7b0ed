"""Allocates a performer for a look. If a stage cannot read the look's pack, the pack is rebuilt once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from visavis.engine.pack_ref import PackRef
from visavis.errors import PackUnreadable
from visavis.fleet.port import Fleet, Performer
from visavis.stage.port.values import PerformanceSpec

MakeSpec = Callable[[PackRef], PerformanceSpec]
"""Returns what to perform, with this pack."""


class Packs(Protocol):
    """The packs of looks."""

    async def pack_ref(self, look_id: str) -> PackRef:
        """Return the reference of the look's pack. Raises `PackUnreadable` if it has none."""
        ...

    async def rebuild(self, look_id: str) -> None:
        """Build the look's pack again from its photo. Raises `NoCapacity`, and `PackUnreadable` if that fails."""
        ...


async def allocate(fleet: Fleet, packs: Packs, look_id: str, make_spec: MakeSpec) -> tuple[Performer, PerformanceSpec]:
    """Return a performer and its spec. Raises what `Fleet.allocate` and `Packs.rebuild` raise."""
    try:
        spec = make_spec(await packs.pack_ref(look_id))
        return await fleet.allocate(spec), spec
    except PackUnreadable:
        await packs.rebuild(look_id)
        spec = make_spec(await packs.pack_ref(look_id))
        return await fleet.allocate(spec), spec
