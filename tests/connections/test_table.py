"""Which connections are kept and which are dropped, on a clock that the test sets."""

from __future__ import annotations

import pytest

from visavis.connections.table import ConnectionTable, Limits, Phase

LIMITS = Limits(most=10, most_per_address=6, most_sockets=3)


@pytest.fixture
def table() -> ConnectionTable:
    return ConnectionTable(LIMITS)


def test_a_full_server_drops_the_oldest_connection_that_has_shown_no_key(table: ConnectionTable) -> None:
    for key in range(10):
        assert table.open(key, f"address {key % 3}", now_s=key) == []
    table.prove(0)
    assert table.open(10, "newcomer", now_s=11) == [1]
    assert len(table) == 10


def test_what_is_being_served_is_dropped_last(table: ConnectionTable) -> None:
    for key in range(10):
        table.open(key, f"address {key % 3}", now_s=0)
    for key in range(9):
        table.enter(key, Phase.WORK, now_s=1)
    assert table.open(10, "newcomer", now_s=2) == [9]
    assert table.open(11, "newcomer", now_s=3) == [10]


def test_a_flood_of_one_address_takes_places_from_itself(table: ConnectionTable) -> None:
    table.open(100, "a client", now_s=0)
    dropped = [table.open(key, "the flood", now_s=1) for key in range(50)]
    assert dropped == [[]] * 6 + [[key] for key in range(44)]
    assert len(table) == 7


def test_with_one_address_for_all_a_flood_without_a_key_leaves_those_with_a_key(table: ConnectionTable) -> None:
    for key in range(4):
        table.open(key, "forwarder", now_s=0)
        table.prove(key)
    for key in range(100, 200):
        assert not set(table.open(key, "forwarder", now_s=1)) & set(range(4))
    assert len(table) == 10


def test_a_server_full_of_proven_connections_refuses_the_newcomer(table: ConnectionTable) -> None:
    for key in range(10):
        table.open(key, f"address {key % 3}", now_s=0)
        table.prove(key)
    assert table.open(10, "newcomer", now_s=1) == [10]
    assert len(table) == 10
    table.closed(3)
    assert table.open(11, "newcomer", now_s=1) == []


def test_sockets_without_a_session_are_few(table: ConnectionTable) -> None:
    for key in range(5):
        table.open(key, f"address {key}", now_s=0)
    assert [table.enter(key, Phase.SOCKET, now_s=1) for key in range(5)] == [[], [], [], [0], [1]]
    table.enter(2, Phase.SESSION, now_s=2)
    table.open(5, "address", now_s=2)
    assert table.enter(5, Phase.SOCKET, now_s=2) == [], "one with a session makes place"


@pytest.mark.parametrize(
    ("phase", "limit_s"), [(Phase.HEADER, 10), (Phase.BODY, 30), (Phase.IDLE, 80), (Phase.CLOSING, 5)]
)
def test_each_phase_has_its_time(table: ConnectionTable, phase: Phase, limit_s: float) -> None:
    table.open(1, "a", now_s=0)
    table.enter(1, Phase.WORK, now_s=0)
    table.enter(1, phase, now_s=100)
    assert table.overdue(now_s=100 + limit_s) == []
    assert table.overdue(now_s=100.1 + limit_s) == [(1, phase)]


@pytest.mark.parametrize("phase", [Phase.WORK, Phase.SOCKET, Phase.SESSION])
def test_what_we_work_on_ourselves_has_no_end_here(table: ConnectionTable, phase: Phase) -> None:
    table.open(1, "a", now_s=0)
    table.enter(1, phase, now_s=0)
    assert table.overdue(now_s=1e6) == []


def test_a_large_body_may_take_its_time_and_a_trickle_may_not(table: ConnectionTable) -> None:
    for key in (1, 2):
        table.open(key, "a", now_s=0)
        table.enter(key, Phase.BODY, now_s=0)
    table.received(1, 10_000_000)
    table.received(2, 1000)
    assert table.overdue(now_s=60) == [(2, Phase.BODY)]


def test_an_end_that_takes_nothing_is_dropped_whatever_it_does(table: ConnectionTable) -> None:
    table.open(1, "a", now_s=0)
    table.enter(1, Phase.SESSION, now_s=0)
    table.unread(1, now_s=50)
    assert table.overdue(now_s=79) == []
    assert table.overdue(now_s=81) == [(1, Phase.SESSION)]
    table.unread(1, now_s=None)
    assert table.overdue(now_s=1000) == []


def test_what_is_over_changes_nothing(table: ConnectionTable) -> None:
    table.open(1, "a", now_s=0)
    table.closed(1)
    table.closed(1)
    table.prove(1)
    table.received(1, 10)
    assert table.enter(1, Phase.SOCKET, now_s=1) == [] and len(table) == 0 and table.overdue(now_s=1e6) == []
