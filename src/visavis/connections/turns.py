"""Shares the event loop among connections: what they send is parsed for about TURN_S in each iteration of the loop.

Some bytes cost much more than others: a WebSocket frame takes six bytes, a chunk of a body as well, and each costs
about as much as one of 64 KB. So data is parsed slice by slice, and the clock decides how large the next slice is. When
the time of an iteration is used up, the connections that still have data wait for their turn in a later one. Those that
have shown a valid key or token have a time of their own, so a flood without one does not make them wait.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

import structlog

TURN_S = 0.01
# What is parsed makes work for others: tasks for requests and channels. If an iteration takes longer than this, less of
# connections without a key or a token is parsed in the next one, but at least LEAST_SHARE of TURN_S.
ITERATION_S = 0.03
LEAST_SHARE = 0.1
READ_BYTES = 64 * 1024  # at a time, while there is time in this iteration ...
WAITING_BYTES = 1024  # ... and when there is none: this much is kept until the connection's turn
SMALLEST_SLICE_BYTES = 1024
LARGEST_SLICE_BYTES = 16 * 1024
SLICE_S = 0.001  # what takes longer is cut smaller the next time

log = structlog.get_logger()


class Parsing(Protocol):
    """A connection's protocol, as the turns see it."""

    def data_received(self, data: bytes) -> None:
        """Parse the next bytes."""
        ...

    def is_proven(self) -> bool:
        """Whether the connection has shown a valid key or token."""
        ...

    def takes_data(self) -> bool:
        """Whether this protocol still parses what the connection sends: not after its end, nor after an upgrade."""
        ...

    def hold_reading(self) -> None:
        """Read nothing until `go_on_reading`."""
        ...

    def go_on_reading(self) -> None:
        """Read again, unless the protocol itself has stopped that."""
        ...

    def fail(self) -> None:
        """End the connection: its data could not be parsed because of an error in this server."""
        ...


class Turns:
    """One for each event loop. Connections read into its buffer."""

    def __init__(self, clock_s: Callable[[], float] = time.perf_counter) -> None:
        self._clock_s = clock_s
        self._buffer = memoryview(bytearray(READ_BYTES))
        # by whether connections are proven: the time that is used in this iteration of the loop, and those that wait
        # with data, the next one first
        self._spent_s = {True: 0.0, False: 0.0}
        self._waiting: dict[bool, deque[Parsing]] = {True: deque(), False: deque()}
        self._turn_s = {True: TURN_S, False: TURN_S}  # what each may use of an iteration
        self._next_is_due = False  # set when `_next_iteration` will be called
        self._began_s = 0.0  # when the first data of this iteration came
        self._data: dict[Parsing, bytearray] = {}  # of those that wait
        self._slice_bytes: dict[Parsing, int] = {}  # of those whose slices are not the smallest

    def buffer(self, connection: Parsing) -> memoryview:
        """Return the buffer for the next read of a connection."""
        return self._buffer[: WAITING_BYTES if self._is_used_up(connection.is_proven()) else READ_BYTES]

    def received(self, connection: Parsing, size_bytes: int) -> None:
        """Take what a connection has read into the buffer: parse it now, or keep it until the connection's turn."""
        data = bytes(self._buffer[:size_bytes])
        if not self._next_is_due:
            self._next_is_due = True
            self._began_s = self._clock_s()
            asyncio.get_running_loop().call_soon(self._next_iteration)
        if connection in self._data:
            self._data[connection] += data
            connection.hold_reading()
        else:
            self._parse(connection, data)

    def forget(self, connection: Parsing) -> None:
        """The connection is over."""
        self._slice_bytes.pop(connection, None)
        if self._data.pop(connection, None) is not None:
            for waiting in self._waiting.values():
                if connection in waiting:
                    waiting.remove(connection)

    def _next_iteration(self) -> None:
        now_s = self._clock_s()
        share = ITERATION_S / max(now_s - self._began_s, ITERATION_S)
        self._turn_s = {True: TURN_S, False: TURN_S * max(LEAST_SHARE, share)}
        self._spent_s = {True: 0.0, False: 0.0}
        self._began_s = now_s
        for is_proven, waiting in self._waiting.items():
            for _ in range(len(waiting)):
                if self._is_used_up(is_proven):
                    break
                connection = waiting.popleft()
                self._parse(connection, bytes(self._data.pop(connection)))
                if connection not in self._data and connection.takes_data():
                    connection.go_on_reading()
        self._next_is_due = any(self._waiting.values())
        if self._next_is_due:
            asyncio.get_running_loop().call_soon(self._next_iteration)

    def _is_used_up(self, is_proven: bool) -> bool:
        return self._spent_s[is_proven] >= self._turn_s[is_proven]

    def _parse(self, connection: Parsing, data: bytes) -> None:
        """Parse for as long as there is time; keep the rest."""
        start = 0
        while start < len(data) and connection.takes_data():
            is_proven = connection.is_proven()
            if self._is_used_up(is_proven):
                self._data[connection] = bytearray(data[start:])
                self._waiting[is_proven].append(connection)
                connection.hold_reading()
                return
            size_bytes = self._slice_bytes.get(connection, SMALLEST_SLICE_BYTES)
            began_s = self._clock_s()
            try:
                connection.data_received(data[start : start + size_bytes])
            except Exception:  # the outermost edge of a connection
                log.exception("connection_failed")
                connection.fail()
            took_s = self._clock_s() - began_s
            self._spent_s[is_proven] += took_s
            self._adapt_slice(connection, size_bytes, took_s)
            start += size_bytes

    def _adapt_slice(self, connection: Parsing, size_bytes: int, took_s: float) -> None:
        size_bytes = size_bytes * 2 if took_s < SLICE_S else size_bytes // 4
        if size_bytes <= SMALLEST_SLICE_BYTES or not connection.takes_data():
            self._slice_bytes.pop(connection, None)
        else:
            self._slice_bytes[connection] = min(size_bytes, LARGEST_SLICE_BYTES)
