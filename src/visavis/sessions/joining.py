"""Limits the offers of viewers to one room. Pure: the caller passes events and times in.

Each offer costs the stage some milliseconds, sockets, and datagrams to addresses that the offer names, before its
viewer has connected. Viewers of a room share its token, so offers are counted by the address that they come from:
nobody can use up what is left to others. Times are seconds of any monotonic clock.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from visavis.connections.network import network_of
from visavis.errors import TooManyOffers

WAIT_S = 15.0  # as `rooms.embedded.room.JOIN_WITHIN_S`: then the stage removes a viewer that has not connected
COUNTED_S = 6.0  # as `CHECK_WITHIN_S` there: so long an offer counts against the offers that may wait
WINDOW_S = 60.0
# Fifty people in one office have one address. All of them may load their page twice a minute.
MAX_WAITING_PER_ADDRESS = 16
MAX_WAITING = 32  # beside the viewers that watch
MAX_PER_ADDRESS = 120  # in a window
MAX_OFFERS = 240
# A viewer that leaves closes its connection and sends DELETE: so long, and for so many, that is no unknown viewer.
LEAVING_S = 60.0
MAX_LEAVING = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class _Offer:
    address: str
    at_s: float


class Joining:
    """The offers and the viewers of one room."""

    def __init__(self) -> None:
        self._offers: deque[_Offer] = deque()  # of the last minute
        self._waiting: dict[str, _Offer] = {}  # by viewer, until it connects or leaves
        self._joined: set[str] = set()
        self._leaving: dict[str, float] = {}  # viewers that have left by themselves, and when; the oldest first

    def begin(self, viewer_id: str, address: str, *, now_s: float) -> None:
        """Note the offer of a new viewer. Raises `TooManyOffers`: then nothing is noted."""
        self._forget_old(now_s)
        address = network_of(address)
        waiting = [offer for offer in self._waiting.values() if offer.at_s > now_s - COUNTED_S]
        _check(waiting, MAX_WAITING, COUNTED_S, now_s)
        _check([offer for offer in waiting if offer.address == address], MAX_WAITING_PER_ADDRESS, COUNTED_S, now_s)
        _check(self._offers, MAX_OFFERS, WINDOW_S, now_s)
        _check([offer for offer in self._offers if offer.address == address], MAX_PER_ADDRESS, WINDOW_S, now_s)
        offer = _Offer(address=address, at_s=now_s)
        self._offers.append(offer)
        self._waiting[viewer_id] = offer

    def joined(self, viewer_id: str) -> float | None:
        """Note that a viewer has connected; return when its offer came, None if that is unknown."""
        offer = self._waiting.pop(viewer_id, None)
        self._joined.add(viewer_id)
        return None if offer is None else offer.at_s

    def left(self, viewer_id: str, *, now_s: float) -> None:
        """Note that a viewer has left by itself, whether it had connected or not."""
        self._waiting.pop(viewer_id, None)
        if viewer_id in self._joined:
            self._joined.remove(viewer_id)
            self._leaving[viewer_id] = now_s
            if len(self._leaving) > MAX_LEAVING:
                del self._leaving[next(iter(self._leaving))]

    def remove(self, viewer_id: str, *, now_s: float) -> bool:
        """Note that a viewer is removed. Return whether it was there, or has left by itself a moment ago."""
        was_known = self.knows(viewer_id, now_s=now_s) or viewer_id in self._leaving
        self._waiting.pop(viewer_id, None)
        self._joined.discard(viewer_id)
        self._leaving.pop(viewer_id, None)
        return was_known

    def knows(self, viewer_id: str, *, now_s: float) -> bool:
        """Whether the viewer is in the room or about to connect."""
        self._forget_old(now_s)
        return viewer_id in self._joined or viewer_id in self._waiting

    def _forget_old(self, now_s: float) -> None:
        while self._offers and self._offers[0].at_s <= now_s - WINDOW_S:
            self._offers.popleft()
        for viewer_id in [one for one, offer in self._waiting.items() if offer.at_s <= now_s - WAIT_S]:
            del self._waiting[viewer_id]
        for viewer_id in [one for one, at_s in self._leaving.items() if at_s <= now_s - LEAVING_S]:
            del self._leaving[viewer_id]


def _check(offers: list[_Offer] | deque[_Offer], maximum: int, lifetime_s: float, now_s: float) -> None:
    """Raise `TooManyOffers` if there are `maximum`. The oldest offer is forgotten after `lifetime_s`."""
    if len(offers) >= maximum:
        refused = TooManyOffers("This room gets too many offers", suggestion="Try again later")
        refused.retry_after_s = max(1, math.ceil(offers[0].at_s + lifetime_s - now_s))
        raise refused
