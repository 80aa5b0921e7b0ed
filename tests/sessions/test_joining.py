"""The limits of offers to one room."""

from __future__ import annotations

import pytest

from visavis.errors import TooManyOffers
from visavis.rooms.embedded.room import CHECK_WITHIN_S, JOIN_WITHIN_S
from visavis.sessions.joining import (
    COUNTED_S,
    LEAVING_S,
    MAX_LEAVING,
    MAX_OFFERS,
    MAX_PER_ADDRESS,
    MAX_WAITING,
    MAX_WAITING_PER_ADDRESS,
    WAIT_S,
    WINDOW_S,
    Joining,
)

HERE, THERE = "198.51.100.7", "203.0.113.9"


def waiting(joining: Joining, count: int, *, address: str = HERE, now_s: float = 0.0) -> None:
    """Begin so many offers, whose viewers do not connect."""
    for number in range(count):
        joining.begin(f"{address} {now_s} {number}", address, now_s=now_s)


def connected(joining: Joining, count: int, *, address: str = HERE, now_s: float = 0.0) -> None:
    """Let so many viewers connect and leave again."""
    for number in range(count):
        viewer_id = f"{address} {now_s} {number}"
        joining.begin(viewer_id, address, now_s=now_s)
        joining.joined(viewer_id)
        joining.left(viewer_id, now_s=now_s)


def test_one_address_leaves_room_for_others() -> None:
    joining = Joining()
    waiting(joining, MAX_WAITING_PER_ADDRESS)
    with pytest.raises(TooManyOffers):
        waiting(joining, 1, now_s=1.0)
    waiting(joining, MAX_WAITING - MAX_WAITING_PER_ADDRESS, address=THERE)
    with pytest.raises(TooManyOffers):
        waiting(joining, 1, address="192.0.2.1")
    joining.begin("one", "192.0.2.1", now_s=COUNTED_S)


def test_a_refusal_says_when_to_try_again() -> None:
    joining = Joining()
    waiting(joining, MAX_WAITING_PER_ADDRESS, now_s=100.0)
    with pytest.raises(TooManyOffers) as refused:
        joining.begin("one", HERE, now_s=103.5)
    assert refused.value.retry_after_s == 3
    joining.begin("one", HERE, now_s=103.5 + 3)
    assert joining.knows("one", now_s=103.5 + 3 + WAIT_S - 1), "it may still connect"
    assert (WAIT_S, COUNTED_S) == (JOIN_WITHIN_S, CHECK_WITHIN_S)


def test_viewers_that_connected_or_left_count_no_more_as_waiting() -> None:
    joining = Joining()
    connected(joining, MAX_PER_ADDRESS - MAX_WAITING_PER_ADDRESS)
    waiting(joining, MAX_WAITING_PER_ADDRESS)


def test_offers_are_counted_for_a_minute_whatever_becomes_of_them() -> None:
    joining = Joining()
    connected(joining, MAX_PER_ADDRESS)
    with pytest.raises(TooManyOffers) as refused:
        joining.begin("one", HERE, now_s=WINDOW_S - 20)
    assert refused.value.retry_after_s == 20
    connected(joining, MAX_OFFERS - MAX_PER_ADDRESS, address=THERE, now_s=1.0)
    with pytest.raises(TooManyOffers):
        joining.begin("one", "192.0.2.1", now_s=2.0)
    joining.begin("one", HERE, now_s=WINDOW_S + 1)


def test_all_addresses_of_an_ipv6_network_count_as_one() -> None:
    joining = Joining()
    for number in range(MAX_WAITING_PER_ADDRESS):
        joining.begin(str(number), f"2001:db8::{number:x}", now_s=0.0)
    with pytest.raises(TooManyOffers):
        joining.begin("one", "2001:db8:0:0:ffff::", now_s=0.0)
    joining.begin("one", "2001:db8:0:1::1", now_s=0.0)


def test_a_viewer_is_known_while_it_may_connect_and_until_it_has_left() -> None:
    joining = Joining()
    joining.begin("one", HERE, now_s=0.0)
    joining.begin("two", "unknown", now_s=0.0)
    joining.joined("two")
    assert joining.knows("one", now_s=1.0) and joining.knows("two", now_s=1.0)
    assert not joining.knows("three", now_s=1.0)
    assert not joining.knows("one", now_s=WAIT_S) and joining.knows("two", now_s=1000.0)
    joining.left("two", now_s=1000.0)
    assert not joining.knows("two", now_s=1000.0)


def test_a_viewer_that_has_just_left_by_itself_may_be_removed_once() -> None:
    joining = Joining()
    for name in ("one", "two", "three"):
        joining.begin(name, HERE, now_s=0.0)
        joining.joined(name)
    joining.left("one", now_s=1.0)
    joining.left("two", now_s=1.0)
    assert joining.remove("one", now_s=2.0) and not joining.remove("one", now_s=2.0)
    assert not joining.remove("two", now_s=1.0 + LEAVING_S), "too late"
    assert joining.remove("three", now_s=2.0)
    joining.left("three", now_s=2.1)  # what the stage tells of a viewer that was removed
    assert not joining.remove("three", now_s=2.2)


def test_only_so_many_are_remembered_that_have_left() -> None:
    joining = Joining()
    for number in range(MAX_LEAVING + 1):
        joining.joined(str(number))
        joining.left(str(number), now_s=0.0)
    assert not joining.remove("0", now_s=1.0) and joining.remove("1", now_s=1.0)
