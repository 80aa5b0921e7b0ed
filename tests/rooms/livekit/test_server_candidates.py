"""What a LiveKit server may name as its addresses: some, and garbage ends nothing."""

from __future__ import annotations

import json

import pytest
from livekit.protocol import models, rtc

from visavis.outbound.reach import allowed_by
from visavis.rooms.livekit.participant import Participant
from visavis.rooms.port import MediaKind
from visavis.rooms.webrtc.data_peer import MAX_CANDIDATES
from visavis.rooms.webrtc.publishing_peer import PublishingPeer
from visavis.rooms.webrtc.send_path import SendPath

pytestmark = pytest.mark.anyio

CANDIDATES = [f"{number} 1 udp 2130706431 192.0.2.{number % 250} {5000 + number} typ host" for number in range(500)]


class Events:
    """Takes what happens, and does nothing."""

    def keyframe_wanted(self) -> None: ...

    def media_sent(self, kind: MediaKind, position: int) -> None: ...

    def peer_connected(self) -> None: ...

    def peer_disconnected(self) -> None: ...

    def people_changed(self, people: list[models.ParticipantInfo]) -> None: ...

    def data_arrived(self, data: bytes) -> None: ...

    def token_refreshed(self, token: str) -> None: ...

    def media_connected(self) -> None: ...


async def test_before_the_answer_only_some_candidates_are_kept() -> None:
    events = Events()
    participant = Participant(
        events,
        SendPath(events),
        size_px=(64, 64),
        wall_clock_at_start_ns=0,
        ice_servers=(),
        is_allowed=allowed_by(["192.0.2.0/24"]),
    )
    for candidate in CANDIDATES:
        told = json.dumps({"candidate": f"candidate:{candidate}", "sdpMid": "0"})
        await participant._take(rtc.SignalResponse(trickle=rtc.TrickleRequest(candidateInit=told)))
    assert participant._early == CANDIDATES[:MAX_CANDIDATES]


async def test_a_connection_takes_some_candidates_and_leaves_out_garbage() -> None:
    events = Events()
    peer = PublishingPeer(events, SendPath(events), wall_clock_at_start_ns=0, ice_servers=())
    try:
        await peer.offer({"video": "v", "audio": "a"}, opened=lambda: None)
        assert peer._connection is not None
        ice = peer._connection.getSenders()[0].transport.transport
        await peer.add_candidates(["garbage", "1 1 udp x 192.0.2.1 9 typ host", "1 1 udp 1 nowhere 9 typ host"])
        await peer.add_candidates(CANDIDATES[:10])
        await peer.add_candidates(CANDIDATES[10:])
        assert 10 <= len(ice.getRemoteCandidates()) <= MAX_CANDIDATES
    finally:
        await peer.aclose()
