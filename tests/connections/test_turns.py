"""How connections share the event loop, on a clock that the test sets: each connection says how long parsing takes."""

from __future__ import annotations

import asyncio

import pytest

from visavis.connections.turns import (
    ITERATION_S,
    LARGEST_SLICE_BYTES,
    READ_BYTES,
    SMALLEST_SLICE_BYTES,
    TURN_S,
    WAITING_BYTES,
    Turns,
)

pytestmark = pytest.mark.anyio


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class Connection:
    """Parses at `seconds_per_byte`."""

    def __init__(self, clock: Clock, seconds_per_byte: float) -> None:
        self._clock, self._seconds_per_byte = clock, seconds_per_byte
        self.parsed = bytearray()
        self.slices: list[int] = []
        self.is_reading = True
        self.takes = True
        self.error: Exception | None = None
        self.failed = False
        self.proven = False

    def is_proven(self) -> bool:
        return self.proven

    def data_received(self, data: bytes) -> None:
        if self.error is not None:
            raise self.error
        self._clock.now_s += len(data) * self._seconds_per_byte
        self.slices.append(len(data))
        self.parsed += data

    def takes_data(self) -> bool:
        return self.takes and not self.failed

    def hold_reading(self) -> None:
        self.is_reading = False

    def go_on_reading(self) -> None:
        self.is_reading = True

    def fail(self) -> None:
        self.failed = True


def read(turns: Turns, connection: Connection, data: bytes) -> None:
    turns.buffer(connection)[: len(data)] = data
    turns.received(connection, len(data))


async def next_iteration() -> None:
    await asyncio.sleep(0)


CHEAP, COSTLY = 1e-9, 2e-6  # of large frames, and of frames of a few bytes


async def test_cheap_data_is_parsed_at_once_in_large_slices() -> None:
    clock = Clock()
    turns, connection = Turns(clock), Connection(clock, CHEAP)
    data = bytes(range(256)) * (READ_BYTES // 256)
    for _ in range(4):
        read(turns, connection, data)
    assert connection.parsed == data * 4 and connection.is_reading
    assert max(connection.slices) == LARGEST_SLICE_BYTES and connection.slices[0] == SMALLEST_SLICE_BYTES


async def test_costly_data_waits_for_later_iterations() -> None:
    clock = Clock()
    turns, connection = Turns(clock), Connection(clock, COSTLY)
    data = bytes(range(256)) * (READ_BYTES // 256)
    read(turns, connection, data)
    assert not connection.is_reading
    slowest_s = 0.0
    while not connection.is_reading:
        before_s = clock.now_s
        await next_iteration()
        slowest_s = max(slowest_s, clock.now_s - before_s)
    assert connection.parsed == data
    assert 0 < slowest_s <= TURN_S + SMALLEST_SLICE_BYTES * COSTLY


async def test_what_has_been_cheap_cannot_become_costly_for_long() -> None:
    clock = Clock()
    turns, connection = Turns(clock), Connection(clock, CHEAP)
    read(turns, connection, bytes(READ_BYTES))
    await next_iteration()
    connection._seconds_per_byte = COSTLY
    before_s = clock.now_s
    read(turns, connection, bytes(READ_BYTES))
    assert clock.now_s - before_s <= LARGEST_SLICE_BYTES * COSTLY


async def test_many_attackers_do_not_hold_up_an_honest_client() -> None:
    clock = Clock()
    turns = Turns(clock)
    attackers = [Connection(clock, COSTLY) for _ in range(200)]
    honest = Connection(clock, CHEAP)
    for attacker in attackers:
        if attacker.is_reading:
            read(turns, attacker, bytes(len(turns.buffer(attacker))))
    read(turns, honest, b"GET /")
    assert clock.now_s <= TURN_S + SMALLEST_SLICE_BYTES * COSTLY
    assert len(turns.buffer(attackers[0])) == WAITING_BYTES, "little is read while there is no time"
    for _ in range(200):
        before_s = clock.now_s
        await next_iteration()
        assert clock.now_s - before_s <= TURN_S + SMALLEST_SLICE_BYTES * COSTLY
        if honest.parsed:
            break
    assert honest.parsed == b"GET /" and honest.is_reading


async def test_a_connection_that_has_shown_a_key_does_not_wait_for_those_that_have_not() -> None:
    clock = Clock()
    turns = Turns(clock)
    attackers = [Connection(clock, COSTLY) for _ in range(200)]
    honest = Connection(clock, CHEAP)
    honest.proven = True
    for attacker in attackers:
        read(turns, attacker, bytes(len(turns.buffer(attacker))))
    assert len(turns.buffer(honest)) == READ_BYTES
    read(turns, honest, b"GET /")
    assert honest.parsed == b"GET /"


async def test_less_is_parsed_when_what_was_parsed_makes_much_work_for_others() -> None:
    clock = Clock()
    turns, flood = Turns(clock), [Connection(clock, COSTLY) for _ in range(50)]
    for connection in flood:
        read(turns, connection, bytes(WAITING_BYTES))
    clock.now_s += 10 * ITERATION_S  # the tasks of what was parsed
    before_s = clock.now_s
    await next_iteration()
    assert 0 < clock.now_s - before_s <= 0.1 * TURN_S + SMALLEST_SLICE_BYTES * COSTLY
    before_s = clock.now_s
    await next_iteration()
    assert clock.now_s - before_s >= TURN_S, "these tasks are done"


async def test_order_is_kept_when_more_comes_for_a_connection_that_waits() -> None:
    clock = Clock()
    turns, connection = Turns(clock), Connection(clock, COSTLY)
    read(turns, connection, b"a" * READ_BYTES)
    read(turns, connection, b"b" * WAITING_BYTES)
    while not connection.is_reading:
        await next_iteration()
    assert connection.parsed == b"a" * READ_BYTES + b"b" * WAITING_BYTES


async def test_a_connection_that_is_over_is_forgotten() -> None:
    clock = Clock()
    turns, connection = Turns(clock), Connection(clock, COSTLY)
    read(turns, connection, bytes(READ_BYTES))
    parsed = len(connection.parsed)
    turns.forget(connection)
    connection.takes = False
    await next_iteration()
    assert len(connection.parsed) == parsed and not connection.is_reading


async def test_an_error_of_ours_ends_the_connection_and_no_other() -> None:
    clock = Clock()
    turns, broken, other = Turns(clock), Connection(clock, CHEAP), Connection(clock, CHEAP)
    broken.error = RuntimeError("a fault of the test")
    read(turns, broken, b"x")
    read(turns, other, b"y")
    assert broken.failed and other.parsed == b"y"
