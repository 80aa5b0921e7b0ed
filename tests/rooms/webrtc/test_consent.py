"""When a peer is gone: consent checks (RFC 7675) on a virtual clock, with peers that answer late or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import cast

import aioice
import pytest
import structlog.testing
from aioice import stun
from aioice.ice import CandidatePair, Connection, StunProtocol
from aiortc import RTCIceTransport

from tests.virtual_clock import run_virtually
from visavis.rooms.webrtc.data_peer import SILENT_WITHIN_S
from visavis.rooms.webrtc.ice_settings import (
    ANSWERED_INTERVAL_S,
    CONSENT_EXPIRES_S,
    CONSENT_INTERVAL_S,
    apply_ice_settings,
)
from visavis.rooms.webrtc.private.consent import _Consent, watch_consent

KEY = "a" * 22
VIEWER = ("192.0.2.7", 50_000)
Answers = Callable[[int], float | None]  # after how many seconds a check is answered, by its number


class Transactions(dict[bytes, stun.Transaction]):
    """Notes what is deleted, as a seat at a shared port does (`media_ports`)."""

    def __init__(self) -> None:
        super().__init__()
        self.deleted = 0

    def __delitem__(self, number: bytes) -> None:
        super().__delitem__(number)
        self.deleted += 1


class Viewer:
    """Stands for aioice's socket: takes checks, and answers each in its time."""

    def __init__(
        self,
        answers: Answers,
        *,
        key: str = KEY,
        kind: stun.Class = stun.Class.RESPONSE,
        sees: Callable[[int], tuple[str, int]] | None = None,
    ) -> None:
        """`sees`: where it sees us with each check."""
        self._sees = sees
        self.transactions = Transactions()
        self.receiver = SimpleNamespace(_remote_candidates=[])  # read where datagrams come in
        self.checks = 0
        self._answers, self._key, self._kind = answers, key, kind
        self.local_candidate = aioice.Candidate("1", 1, "udp", 1, "192.0.2.1", 5000, "host")

    @property
    def transport(self) -> Viewer:
        return self

    def sendto(self, data: bytes, address: tuple[str, int]) -> None:
        request = stun.parse_message(data)
        assert address == VIEWER and request.check_message_integrity(KEY.encode())
        assert request.attributes["USERNAME"].startswith("viewer:") and "FINGERPRINT" in request.attributes
        after_s = self._answers(self.checks)
        self.checks += 1
        seen_at = None if self._sees is None else self._sees(self.checks)
        if after_s is not None:
            response = stun.Message(stun.Method.BINDING, self._kind, request.transaction_id)
            if seen_at is not None:
                response.attributes["XOR-MAPPED-ADDRESS"] = seen_at
            response.add_message_integrity(self._key.encode())
            asyncio.get_running_loop().call_later(after_s, self._receive, request.transaction_id, bytes(response))

    def _receive(self, number: bytes, response: bytes) -> None:
        if number in self.transactions:  # aioice drops what nobody waits for
            StunProtocol.datagram_received(cast("StunProtocol", self), response, VIEWER)

    async def close(self) -> None:
        pass


def test_the_answer_to_the_first_check_tells_the_round_trip() -> None:
    apply_ice_settings()
    told: list[float] = []

    async def scenario() -> None:
        viewer = Viewer(lambda number: 0.25)
        connection = connected_to(viewer)
        consent = _Consent(connection, told.append)
        for _ in range(3):
            consent.ask()
            await asyncio.sleep(1)
        consent.forget()
        await connection.close()

    run_virtually(scenario)
    assert told == [pytest.approx(0.25)]


def connected_to(viewer: Viewer) -> Connection:
    connection = Connection(ice_controlling=False)
    connection.remote_username, connection.remote_password = "viewer", KEY
    candidate = aioice.Candidate("1", 1, "udp", 1, VIEWER[0], VIEWER[1], "host")
    candidate._network_host = VIEWER[0]
    connection._nominated[1] = CandidatePair(viewer, candidate)  # type: ignore[arg-type]
    return connection


def closed_after_s(
    viewer: Viewer, *, within_s: float, silent_s: float | None = None, moved: Callable[[], None] = lambda: None
) -> float | None:
    """Return when the connection to this viewer closes, None if it is open after `within_s`. `silent_s`, `moved`: as it
    is watched.
    """
    apply_ice_settings()

    async def scenario() -> float | None:
        connection = connected_to(viewer)
        if silent_s is not None:
            transport = cast("RTCIceTransport", SimpleNamespace(_connection=connection))
            watch_consent(transport, expires_s=silent_s, moved=moved)
        asking = asyncio.create_task(connection.query_consent())
        connection._query_consent_task = asking
        done, _ = await asyncio.wait([asking], timeout=within_s)
        now_s = asyncio.get_running_loop().time()
        await connection.close()
        assert not viewer.transactions and viewer.transactions.deleted == viewer.checks, "nothing is left of the checks"
        return now_s if done else None

    return run_virtually(scenario)


@pytest.mark.parametrize("round_trip_s", [0.05, 0.54, 2.0, 5.0])
def test_a_viewer_stays_whatever_its_round_trip(round_trip_s: float) -> None:
    viewer = Viewer(lambda number: round_trip_s)
    assert closed_after_s(viewer, within_s=300.0) is None
    interval_s = ANSWERED_INTERVAL_S if round_trip_s < 0.8 * CONSENT_INTERVAL_S else CONSENT_INTERVAL_S
    assert 250 / interval_s < viewer.checks < 400 / interval_s


def test_a_viewer_stays_if_two_of_three_checks_get_lost() -> None:
    assert closed_after_s(Viewer(lambda number: 0.5 if number % 3 == 0 else None), within_s=300.0) is None


def test_a_viewer_that_answers_no_more_is_gone_within_10_s() -> None:
    last_s: list[float] = []

    def until_the_20th(number: int) -> float | None:
        if number < 20:
            last_s.append(asyncio.get_running_loop().time())
        return 0.1 if number < 20 else None

    after_s = closed_after_s(Viewer(until_the_20th), within_s=300.0)
    assert after_s is not None and CONSENT_EXPIRES_S <= after_s - last_s[-1] < 10
    silent_s = closed_after_s(Viewer(lambda number: None), within_s=300.0)
    assert silent_s is not None and CONSENT_EXPIRES_S <= silent_s < 10


@pytest.mark.parametrize("began_s", [0.05 * step for step in range(40)])
def test_a_viewer_may_be_away_for_four_and_a_half_seconds_at_any_moment(began_s: float) -> None:
    """A network that is away: checks get lost, whenever they are sent in it."""
    begins_s = 20 + began_s

    def answers(number: int) -> float | None:
        sent_s = asyncio.get_running_loop().time()
        return None if begins_s <= sent_s < begins_s + 0.75 * CONSENT_EXPIRES_S else 0.1

    assert closed_after_s(Viewer(answers), within_s=40.0) is None


def test_an_answer_without_the_key_does_not_count() -> None:
    assert closed_after_s(Viewer(lambda number: 0.1, key="b" * 22), within_s=300.0) is not None


def test_a_refusal_does_not_count_and_is_not_taken_for_malformed() -> None:
    refusing = Viewer(lambda number: 0.1, kind=stun.Class.ERROR)
    with structlog.testing.capture_logs() as logged:
        assert closed_after_s(refusing, within_s=300.0) is not None
    assert refusing.checks > 3 and not logged


def test_a_server_that_is_watched_may_be_away_for_five_seconds() -> None:
    """Seven checks at most are lost in so long a time, and the answer to the eighth comes."""
    away = Viewer(lambda number: None if 20 <= number < 27 else 0.1)
    assert closed_after_s(away, within_s=300.0, silent_s=SILENT_WITHIN_S) is None
    gone = Viewer(lambda number: 0.1 if number < 20 else None)
    after_s = closed_after_s(gone, within_s=300.0, silent_s=SILENT_WITHIN_S)
    assert after_s is not None and after_s < 20 * 1.2 * CONSENT_INTERVAL_S + SILENT_WITHIN_S + 3


def test_a_server_that_sees_us_at_another_address_is_told_of_once() -> None:
    moved: list[None] = []
    viewer = Viewer(lambda number: 0.1, sees=lambda number: ("198.51.100.1", 6000 if number < 20 else 6001))
    assert closed_after_s(viewer, within_s=60.0, silent_s=SILENT_WITHIN_S, moved=lambda: moved.append(None)) is None
    assert len(moved) == 1
