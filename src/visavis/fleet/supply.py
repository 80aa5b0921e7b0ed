"""Where a fleet gets its stages from: processes that it starts on this machine, or stages that listen elsewhere."""

from __future__ import annotations

from typing import Protocol

from visavis.fleet.link import StageLink


class ConnectedStage(Protocol):
    """A stage that this server is connected to."""

    link: StageLink

    @property
    def name(self) -> str:
        """What a log calls it."""
        ...

    async def aclose(self) -> None:
        """Close the connection, and end the process where the fleet started it; bounded to 5 s."""
        ...


class StageSupply(Protocol):
    """`most`: how many stages there can be at once."""

    @property
    def most(self) -> int: ...

    async def open(self) -> ConnectedStage:
        """Return one more stage, connected. Raises `PerformerLost` when there is none to be had now."""
        ...

    async def aclose(self) -> None:
        """Free what the supply itself holds; every stage is closed before."""
        ...
