"""Whether a peer is still there: consent checks with a time-out that knows the round trip, for every connection of
this process.
"""

from __future__ import annotations

import asyncio
import functools
import math
import random
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aioice.ice
from aiortc import RTCIceTransport

from visavis.rooms.webrtc.private import stun


@dataclass(frozen=True, slots=True, kw_only=True)
class _Watch:
    """How long the peer of a connection may give no answer, and who is told when it sees us elsewhere."""

    expires_s: float
    moved: Callable[[], None]


_watched: weakref.WeakKeyDictionary[aioice.ice.Connection, _Watch] = weakref.WeakKeyDictionary()
_round_trips_s: weakref.WeakKeyDictionary[aioice.ice.Connection, float] = weakref.WeakKeyDictionary()


class _Consent:
    """Asks for consent over the pairs of one connection, and takes the answers in the place of aioice's transactions.
    An answer to any check counts, however long it was on its way.
    """

    def __init__(
        self,
        connection: aioice.ice.Connection,
        first_answered: Callable[[float], None],
        moved: Callable[[], None] | None = None,
    ) -> None:
        assert connection.remote_password is not None
        self._connection, self._key, self._moved = connection, connection.remote_password.encode(), moved
        # over which pair, and at which address the peer saw us last
        self._seen_at: tuple[aioice.ice.CandidatePair, bytes] | None = None
        self._loop = asyncio.get_running_loop()
        self._began_s = self._loop.time()
        self._silent_since_s: float | None = None  # the last answer, or the first check after it; None: all is answered
        self._first_answered: Callable[[float], None] | None = first_answered
        self._sent: deque[tuple[aioice.ice.CandidatePair, bytes]] = deque()
        self._attributes: dict[aioice.ice.CandidatePair, bytes] = {}  # of a check; all over a pair are alike

    @property
    def is_answered(self) -> bool:
        """Whether the answer to the last check has come."""
        return self._silent_since_s is None

    @property
    def silent_s(self) -> float:
        """For how long the peer has given no answer, though it was asked."""
        return 0.0 if self._silent_since_s is None else self._loop.time() - self._silent_since_s

    def take(self, answer: bytes) -> None:
        attributes = stun.read_signed(answer, self._key)
        if attributes is not None:
            is_newest = self.is_answered or stun.number_of(answer) == self._sent[-1][1]
            self._silent_since_s = None if is_newest else self._loop.time()
            self._note_address(answer, attributes)
            if self._first_answered is not None:
                self._first_answered(self._loop.time() - self._began_s)
                self._first_answered = None

    def _note_address(self, answer: bytes, attributes: dict[int, bytes]) -> None:
        if self._moved is None:
            return
        seen_at, number = stun.address_seen(answer, attributes), stun.number_of(answer)
        pair = next((pair for pair, sent in self._sent if sent == number), None)
        if seen_at is None or pair is None:
            return
        before, self._seen_at = self._seen_at, (pair, seen_at)
        if before is not None and before[0] is pair and before[1] != seen_at:
            self._moved()

    def ask(self) -> None:
        """Send a check over each nominated pair."""
        if self._silent_since_s is None:
            self._silent_since_s = self._loop.time()
        for pair in self._connection._nominated.values():
            if pair not in self._attributes:
                request = self._connection.build_request(pair, nominate=False)
                self._attributes[pair] = stun.attributes_of(bytes(request))
            number = stun.new_number()
            pair.protocol.transactions[number] = self  # type: ignore[assignment]
            self._sent.append((pair, number))
            check = stun.signed(stun.REQUEST, number, self._attributes[pair], self._key)
            pair.protocol.transport.sendto(check, pair.remote_addr)

    def forget(self, *, keep: int = 0) -> None:
        """Take no answers any more, except to the last `keep` checks."""
        while len(self._sent) > keep:
            pair, number = self._sent.popleft()
            if number in pair.protocol.transactions:
                del pair.protocol.transactions[number]  # not pop: a seat at a shared port notes what is deleted


def replace_consent_checks(*, interval_s: float, answered_interval_s: float, expires_s: float) -> None:
    """Set the time between consent checks of a peer, and how long it may answer none until it is gone (RFC 7675).
    `answered_interval_s`: the time after a check that was answered within `interval_s`, unless the peer is watched.

    aioice waits half a second for each answer, so a peer with a longer round trip never has consent.
    """

    async def query_consent(connection: aioice.ice.Connection) -> None:
        watch = _watched.get(connection)
        limit_s, moved = (expires_s, None) if watch is None else (watch.expires_s, watch.moved)
        consent = _Consent(connection, functools.partial(_note_round_trip, connection), moved)
        try:
            while consent.silent_s < limit_s:
                consent.ask()  # at once: the first answer may take nearly `expires_s`
                consent.forget(keep=math.ceil(2 * limit_s / interval_s))
                spread = 0.8 + 0.4 * random.random()
                await asyncio.sleep(interval_s * spread)
                if consent.is_answered and watch is None:
                    await asyncio.sleep((answered_interval_s - interval_s) * spread)
        finally:
            consent.forget()
        connection._query_consent_task = None
        await connection.close()

    _take_answers()
    aioice.ice.Connection.query_consent = query_consent  # type: ignore[method-assign,assignment]


def _take_answers() -> None:
    """Let answers to consent checks go to whom they are for before aioice reads them."""
    received = aioice.ice.StunProtocol.datagram_received

    @functools.wraps(received)
    def datagram_received(protocol: aioice.ice.StunProtocol, data: bytes, address: tuple[Any, ...]) -> None:
        waiting = protocol.transactions.get(stun.number_of(data)) if stun.is_response(data) else None
        if isinstance(waiting, _Consent):
            if stun.is_success(data):  # a peer that refuses is one that does not answer
                waiting.take(data)
        else:
            received(protocol, data, address)

    aioice.ice.StunProtocol.datagram_received = datagram_received  # type: ignore[method-assign,assignment]


def watch_consent(transport: RTCIceTransport, *, expires_s: float, moved: Callable[[], None]) -> None:
    """Let the peer of a connection give no answer for `expires_s`. `moved`: called when it sees us at another address
    than before, as behind a NAT that has forgotten us. Called before the connection is established.
    """
    _watched[transport._connection] = _Watch(expires_s=expires_s, moved=moved)


def _note_round_trip(connection: aioice.ice.Connection, seconds: float) -> None:
    _round_trips_s[connection] = seconds


def checked_round_trip_s(transport: RTCIceTransport) -> float | None:
    """Return how long the peer's answer to the first consent check took: that check leaves before any media. At least
    so long, if the first one got lost. Requires `replace_consent_checks`.
    """
    return _round_trips_s.get(transport._connection)


def forget_round_trip(connection: aioice.ice.Connection) -> None:
    """Let the next consent check measure the round trip anew."""
    _round_trips_s.pop(connection, None)
