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

import aioice.ice
import aioice.stun
from aiortc import RTCIceTransport


@dataclass(frozen=True, slots=True, kw_only=True)
class _Watch:
    """How long the peer of a connection may give no answer, and who is told when it sees us elsewhere."""

    expires_s: float
    moved: Callable[[], None]


_watched: weakref.WeakKeyDictionary[aioice.ice.Connection, _Watch] = weakref.WeakKeyDictionary()
_round_trips_s: weakref.WeakKeyDictionary[aioice.ice.Connection, float] = weakref.WeakKeyDictionary()


class _Consent:
    """Takes the answers to the consent checks of one connection, in the place of aioice's transactions. An answer to
    any check counts, however long it was on its way.
    """

    def __init__(
        self, key: bytes, first_answered: Callable[[float], None], moved: Callable[[], None] | None = None
    ) -> None:
        self._key, self._moved = key, moved
        # over which pair, and at which address the peer saw us last
        self._seen_at: tuple[aioice.ice.CandidatePair, tuple[str, int]] | None = None
        self._loop = asyncio.get_running_loop()
        self.given_at_s = self._asked_at_s = self._loop.time()
        self._first_answered: Callable[[float], None] | None = first_answered
        self._sent: deque[tuple[aioice.ice.CandidatePair, bytes]] = deque()

    def response_received(self, message: aioice.stun.Message, address: tuple[str, int]) -> None:
        if message.message_class is aioice.stun.Class.RESPONSE and message.check_message_integrity(self._key):
            self.given_at_s = self._loop.time()
            self._note_address(message)
            if self._first_answered is not None:
                self._first_answered(self.given_at_s - self._asked_at_s)
                self._first_answered = None

    def _note_address(self, message: aioice.stun.Message) -> None:
        seen_at = message.attributes.get("XOR-MAPPED-ADDRESS")
        pair = next((pair for pair, sent_id in self._sent if sent_id == message.transaction_id), None)
        if seen_at is None or pair is None:
            return
        before, self._seen_at = self._seen_at, (pair, seen_at)
        if before is not None and before[0] is pair and before[1] != seen_at and self._moved is not None:
            self._moved()

    def ask(self, pair: aioice.ice.CandidatePair, request: aioice.stun.Message) -> None:
        request.add_message_integrity(self._key)
        pair.protocol.transactions[request.transaction_id] = self  # type: ignore[assignment]
        self._sent.append((pair, request.transaction_id))
        pair.protocol.send_stun(request, pair.remote_addr)

    def forget(self, *, keep: int = 0) -> None:
        """Take no answers any more, except to the last `keep` checks."""
        while len(self._sent) > keep:
            pair, transaction_id = self._sent.popleft()
            if transaction_id in pair.protocol.transactions:
                del pair.protocol.transactions[transaction_id]  # not pop: a seat at a shared port notes what is deleted


def replace_consent_checks(*, interval_s: float, expires_s: float) -> None:
    """Set the time between consent checks of a peer, and how long it may give no answer until it is gone (RFC 7675).

    aioice waits half a second for each answer, so a peer with a longer round trip never has consent.
    """

    async def query_consent(connection: aioice.ice.Connection) -> None:
        assert connection.remote_password is not None
        watch = _watched.get(connection)
        limit_s, moved = (expires_s, None) if watch is None else (watch.expires_s, watch.moved)
        first_answered = functools.partial(_note_round_trip, connection)
        consent = _Consent(connection.remote_password.encode(), first_answered, moved)
        try:
            while asyncio.get_running_loop().time() < consent.given_at_s + limit_s:
                for pair in connection._nominated.values():  # at once: the first answer may take nearly `expires_s`
                    consent.ask(pair, connection.build_request(pair, nominate=False))
                consent.forget(keep=math.ceil(2 * limit_s / interval_s))
                await asyncio.sleep(interval_s * (0.8 + 0.4 * random.random()))
        finally:
            consent.forget()
        connection._query_consent_task = None
        await connection.close()

    aioice.ice.Connection.query_consent = query_consent  # type: ignore[method-assign,assignment]


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
