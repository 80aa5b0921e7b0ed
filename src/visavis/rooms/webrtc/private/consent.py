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

import aioice.ice
import aioice.stun
from aiortc import RTCIceTransport

_round_trips_s: weakref.WeakKeyDictionary[aioice.ice.Connection, float] = weakref.WeakKeyDictionary()


class _Consent:
    """Takes the answers to the consent checks of one connection, in the place of aioice's transactions. An answer to
    any check counts, however long it was on its way.
    """

    def __init__(self, key: bytes, first_answered: Callable[[float], None]) -> None:
        self._key = key
        self._loop = asyncio.get_running_loop()
        self.given_at_s = self._asked_at_s = self._loop.time()
        self._first_answered: Callable[[float], None] | None = first_answered
        self._sent: deque[tuple[aioice.ice.StunProtocol, bytes]] = deque()

    def response_received(self, message: aioice.stun.Message, address: tuple[str, int]) -> None:
        if message.message_class is aioice.stun.Class.RESPONSE and message.check_message_integrity(self._key):
            self.given_at_s = self._loop.time()
            if self._first_answered is not None:
                self._first_answered(self.given_at_s - self._asked_at_s)
                self._first_answered = None

    def ask(self, pair: aioice.ice.CandidatePair, request: aioice.stun.Message) -> None:
        request.add_message_integrity(self._key)
        pair.protocol.transactions[request.transaction_id] = self  # type: ignore[assignment]
        self._sent.append((pair.protocol, request.transaction_id))
        pair.protocol.send_stun(request, pair.remote_addr)

    def forget(self, *, keep: int = 0) -> None:
        """Take no answers any more, except to the last `keep` checks."""
        while len(self._sent) > keep:
            protocol, transaction_id = self._sent.popleft()
            if transaction_id in protocol.transactions:
                del protocol.transactions[transaction_id]  # not pop: a seat at a shared port notes what is deleted


def replace_consent_checks(*, interval_s: float, expires_s: float) -> None:
    """Set the time between consent checks of a peer, and how long it may give no answer until it is gone (RFC 7675).

    aioice waits half a second for each answer, so a peer with a longer round trip never has consent.
    """

    async def query_consent(connection: aioice.ice.Connection) -> None:
        assert connection.remote_password is not None
        consent = _Consent(connection.remote_password.encode(), functools.partial(_note_round_trip, connection))
        try:
            while asyncio.get_running_loop().time() < consent.given_at_s + expires_s:
                for pair in connection._nominated.values():  # at once: the first answer may take nearly `expires_s`
                    consent.ask(pair, connection.build_request(pair, nominate=False))
                consent.forget(keep=math.ceil(2 * expires_s / interval_s))
                await asyncio.sleep(interval_s * (0.8 + 0.4 * random.random()))
        finally:
            consent.forget()
        connection._query_consent_task = None
        await connection.close()

    aioice.ice.Connection.query_consent = query_consent  # type: ignore[method-assign,assignment]


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
