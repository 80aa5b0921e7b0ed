"""Resolves the addresses and host names at which viewers reach this machine, anew for each viewer."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence

import structlog

LOOK_UP_WAIT_S = 0.5  # no viewer waits longer for a name: then its last known addresses are given out

LookUp = Callable[[str], Awaitable[list[str]]]

log = structlog.get_logger("visavis.rooms")


async def look_up(name: str) -> list[str]:
    """Return the addresses of a host name. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(name, None, type=socket.SOCK_DGRAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class ReachableAddresses:
    """The addresses of a list of addresses and names. A name has one look-up at a time, however many viewers join; one
    that takes long goes on while viewers get what was known before.
    """

    def __init__(self, listed: Sequence[str], look_up: LookUp = look_up) -> None:
        self._listed, self._look_up = listed, look_up
        self._known: dict[str, list[str]] = {}  # by name, from the last look-up that succeeded
        self._running: dict[str, asyncio.Task[None]] = {}
        self._failing: set[str] = set()  # names whose last look-up failed

    async def now(self) -> list[str]:
        """Return the addresses as they are now, in the order of the list, each once. Takes at most LOOK_UP_WAIT_S."""
        names = [one for one in self._listed if not _is_address(one)]
        if names:
            await asyncio.wait([self._start(name) for name in names], timeout=LOOK_UP_WAIT_S)
        found = [[one] if _is_address(one) else self._known.get(one, []) for one in self._listed]
        return list(dict.fromkeys(address for addresses in found for address in addresses))

    def _start(self, name: str) -> asyncio.Task[None]:
        task = self._running.get(name)
        if task is None:
            task = self._running[name] = asyncio.get_running_loop().create_task(self._resolve(name))
        return task

    async def _resolve(self, name: str) -> None:
        try:
            self._known[name] = await self._look_up(name)
            self._failing.discard(name)
        except (OSError, UnicodeError) as error:
            if name not in self._failing:
                self._failing.add(name)
                log.warning("viewer_address_unknown", name=name, problem=str(error), known=self._known.get(name, []))
        finally:
            del self._running[name]

    async def aclose(self) -> None:
        """Give up the look-ups that still run."""
        running = list(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
