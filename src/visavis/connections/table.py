"""Which connections a server keeps, and which it drops to keep room for others. Pure: it is told what happens and when.

A connection is *proven* once it has shown a valid key or token; only connections that are not proven are ever dropped
for others. So a flood without a key takes places from itself alone, also where all clients share one address.

Times are seconds of any monotonic clock.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto

Key = int


class Phase(Enum):
    """What a connection is doing now, and so what it may take time for."""

    HEADER = auto()  # a request's header is awaited, or the first bytes of a connection
    BODY = auto()  # the header is there, the body is awaited
    WORK = auto()  # the application works on a request
    IDLE = auto()  # between two requests
    SOCKET = auto()  # an open WebSocket without a session
    SESSION = auto()  # a WebSocket with a session: it has deadlines of its own
    CLOSING = auto()  # we have closed it, and what we sent last is on its way


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """`most`: connections in all. `most_per_address`: of one address that are not proven. `most_sockets`: WebSockets
    without a session.

    A body has `body_s`, and beyond that goes on as long as it comes at `body_bytes_per_s` on average.
    """

    most: int
    most_per_address: int
    most_sockets: int
    header_s: float = 10.0
    body_s: float = 30.0
    body_bytes_per_s: float = 4096.0
    idle_s: float = 80.0
    closing_s: float = 5.0
    unread_s: float = 30.0


@dataclass(slots=True)
class _Entry:
    address: str
    phase: Phase
    since_s: float  # when the phase began
    proven: bool = False
    body_bytes: int = 0  # of the body that is coming in
    unread_since_s: float | None = None  # since when the other end has taken nothing of what we send


@dataclass(slots=True)
class ConnectionTable:
    """Every open connection, the oldest first."""

    limits: Limits
    _entries: OrderedDict[Key, _Entry] = field(default_factory=OrderedDict)
    _unproven: dict[str, int] = field(default_factory=dict)  # how many of each address
    _sockets: int = 0  # in phase SOCKET

    def __len__(self) -> int:
        return len(self._entries)

    def open(self, key: Key, address: str, *, now_s: float) -> list[Key]:
        """Take in a new connection; return those to drop for it, which may be the new one itself."""
        dropped: list[Key] = []
        if self._unproven.get(address, 0) >= self.limits.most_per_address:
            dropped += self._oldest(lambda entry: not entry.proven and entry.address == address)
        if not dropped and len(self._entries) >= self.limits.most:
            dropped += self._oldest(lambda entry: not entry.proven)
        if not dropped and len(self._entries) >= self.limits.most:
            return [key]  # every place is taken by a connection that has shown a key
        for other in dropped:
            self.closed(other)
        self._entries[key] = _Entry(address, Phase.HEADER, now_s)
        self._unproven[address] = self._unproven.get(address, 0) + 1
        return dropped

    def _oldest(self, fits: Callable[[_Entry], bool]) -> list[Key]:
        """Return the connection to drop: the one that does nothing for longest, before one that is being served."""
        served = (Phase.WORK, Phase.SESSION)
        found = [key for key, entry in self._entries.items() if fits(entry)]
        idle = [key for key in found if self._entries[key].phase not in served]
        return (idle or found)[:1]

    def enter(self, key: Key, phase: Phase, *, now_s: float) -> list[Key]:
        """Note what a connection does from now on; return the connections to drop for it."""
        entry = self._entries.get(key)
        if entry is None or entry.phase is phase:
            return []
        self._leave_phase(entry)
        entry.phase, entry.since_s, entry.body_bytes = phase, now_s, 0
        if phase is not Phase.SOCKET:
            return []
        self._sockets += 1
        if self._sockets <= self.limits.most_sockets:
            return []
        oldest = next(other for other, it in self._entries.items() if it.phase is Phase.SOCKET)
        self.closed(oldest)
        return [oldest]

    def _leave_phase(self, entry: _Entry) -> None:
        if entry.phase is Phase.SOCKET:
            self._sockets -= 1

    def received(self, key: Key, size_bytes: int) -> None:
        """Count bytes of a body."""
        if (entry := self._entries.get(key)) is not None:
            entry.body_bytes += size_bytes

    def prove(self, key: Key) -> None:
        """The connection has shown a valid key or token."""
        entry = self._entries.get(key)
        if entry is not None and not entry.proven:
            entry.proven = True
            self._forget_unproven(entry.address)

    def unread(self, key: Key, *, now_s: float | None) -> None:
        """The other end has stopped taking what we send (None: it takes it again)."""
        if (entry := self._entries.get(key)) is not None:
            entry.unread_since_s = now_s

    def closed(self, key: Key) -> None:
        """The connection is over; nothing happens where it was not known."""
        entry = self._entries.pop(key, None)
        if entry is None:
            return
        self._leave_phase(entry)
        if not entry.proven:
            self._forget_unproven(entry.address)

    def _forget_unproven(self, address: str) -> None:
        self._unproven[address] -= 1
        if not self._unproven[address]:
            del self._unproven[address]

    def overdue(self, *, now_s: float) -> list[tuple[Key, Phase]]:
        """Return the connections whose time is over, with what they were doing."""
        return [(key, entry.phase) for key, entry in self._entries.items() if self._is_overdue(entry, now_s)]

    def _is_overdue(self, entry: _Entry, now_s: float) -> bool:
        limits = self.limits
        if entry.unread_since_s is not None and now_s - entry.unread_since_s > limits.unread_s:
            return True
        passed_s = now_s - entry.since_s
        match entry.phase:
            case Phase.HEADER:
                return passed_s > limits.header_s
            case Phase.BODY:
                return passed_s > limits.body_s + entry.body_bytes / limits.body_bytes_per_s
            case Phase.IDLE:
                return passed_s > limits.idle_s
            case Phase.CLOSING:
                return passed_s > limits.closing_s
            case Phase.WORK | Phase.SOCKET | Phase.SESSION:
                return False
