"""The supply of a fleet's stages: processes that it starts on this machine, or stages that listen on other machines."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from visavis.fleet.link import StageLink
from visavis.fleet.suspects import LastWork


class ConnectedStage(Protocol):
    """A stage that this server is connected to. `silent_s`: one that is silent for so long is given up. `lost`: set by
    the fleet when it has taken note that the stage is lost.
    """

    link: StageLink
    silent_s: float
    lost: asyncio.Event

    @property
    def name(self) -> str:
        """The stage's name in logs."""
        ...

    def kill(self) -> None:
        """End the connection, and the process if the fleet has started it, at once. The stage does not answer."""
        ...

    async def last_work(self) -> LastWork:
        """Return what the stage did at last. The connection is over; takes at most 0.2 s."""
        ...

    async def aclose(self) -> None:
        """Close the connection, and end the process if the fleet has started it; takes at most 5 s."""
        ...


class StageSupply(Protocol):
    """Opens stages. `max_stages`: how many there can be at once. `max_local_stages`: how many of them share the cores
    of this server's machine.
    """

    @property
    def max_stages(self) -> int: ...

    @property
    def max_local_stages(self) -> int: ...

    async def open(self) -> ConnectedStage:
        """Open one more stage and connect to it. Raises `PerformerLost` if that is not possible now."""
        ...

    async def adopt(self) -> Sequence[ConnectedStage]:
        """Connect to the stages that an earlier server of this data folder has left living. One that does not
        answer within 5 s is given up.
        """
        ...

    async def aclose(self) -> None:
        """Free the supply's own resources. The caller has closed all stages before."""
        ...
