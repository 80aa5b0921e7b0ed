"""The path between a viewer and the stage changes: the connection goes on, by a restart of ICE (RFC 9725)."""

from __future__ import annotations

import asyncio

import anyio
import pytest
from aiortc import RTCIceTransport
from aiortc.sdp import candidate_from_sdp

from tests.networks.relay import Network, relays, without_candidates
from tests.rooms.media import Feed, RecordedEvents
from visavis.errors import CandidatesRefused, TooManyOffers
from visavis.rooms.embedded import room as embedded_room
from visavis.rooms.embedded.fragment import read_restart, write_restart
from visavis.rooms.embedded.room import EmbeddedRoom
from visavis.rooms.webrtc import sending_peer
from visavis.rooms.webrtc.private import restarts
from visavis.rooms.webrtc.receiving_peer import ReceivingPeer

CLEAN = Network()


class Viewer:
    """A viewer of a room, with aiortc. aiortc has no restart: the test makes one as the server does."""

    def __init__(self, room: EmbeddedRoom, feed: Feed) -> None:
        self.peer = ReceivingPeer()
        self.pictures = 0
        self._room, self._feed = room, feed

    async def receive(self) -> None:
        async for _ in self.peer.pictures():
            self.pictures += 1

    async def sees(self, more: int) -> None:
        seen = self.pictures
        await self._feed.until(lambda: self.pictures >= seen + more)

    @property
    def ice(self) -> RTCIceTransport:
        transport: RTCIceTransport = self.peer._receivers["video"].transport.transport
        return transport

    def new_credentials(self) -> str:
        """Begin a new ICE session, whose other side is not known yet; return it as a fragment of SDP."""
        mine = restarts.restart_ice(self.ice, user_name="none", password="none")
        assert mine is not None
        return write_restart(kind="video", mid="0", ice_ufrag=mine.user_name, ice_pwd=mine.password, candidates=())

    async def follow(self, fragment: str) -> None:
        """Connect to the other side's new ICE session."""
        theirs = read_restart(fragment)
        connection = self.ice._connection
        connection.remote_username, connection.remote_password = theirs.ice_ufrag, theirs.ice_pwd
        for candidate in theirs.candidates:
            await self.ice.addRemoteCandidate(candidate_from_sdp(candidate))
        connecting = asyncio.create_task(restarts.connect_again(self.ice))
        await self._feed.until(connecting.done)
        await connecting


def test_media_go_on_by_another_path_and_the_connection_stays() -> None:
    async def scenario() -> None:
        events = RecordedEvents()
        room = EmbeddedRoom(events, wall_clock_at_start_ns=0)
        viewer = Viewer(room, Feed(room, events))
        receiving: asyncio.Task[None] | None = None
        try:
            async with relays(CLEAN) as through:
                answer = await room.offer(viewer_id="one", sdp=without_candidates(await viewer.peer.offer()))
                await viewer.peer.accept(await through.rewrite(answer))
                receiving = asyncio.create_task(viewer.receive())
                await viewer.sees(3)
                for number in (1, 2):
                    through.close()
                    asked = viewer.new_credentials()
                    restarted = await room.restart_ice(viewer_id="one", fragment=asked)
                    assert restarted.ice_session == number
                    await viewer.follow(await through.rewrite(restarted.fragment))
                    await viewer.sees(5)
                    with pytest.raises(CandidatesRefused, match="already"):
                        await room.restart_ice(viewer_id="one", fragment=asked)
                await room.add_candidates(viewer_id="one", fragment="a=end-of-candidates", ice_session=2)
                assert events.viewers == [("joined", "one", 1)]
                assert "missing" in events.keyframes_wanted, "the viewer has missed pictures"
                with pytest.raises(TooManyOffers):
                    for _ in range(embedded_room.RESTARTS_AT_ONCE + 1):
                        await room.restart_ice(viewer_id="one", fragment=viewer.new_credentials())
        finally:
            await viewer.peer.aclose()
            await room.aclose()
            if receiving is not None:
                await receiving

    async def bounded() -> None:
        with anyio.fail_after(30):
            await scenario()

    asyncio.run(bounded())


def test_a_viewer_that_finds_no_path_after_a_restart_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending_peer, "RESTART_WITHIN_S", 0.2)

    async def scenario() -> None:
        events = RecordedEvents()
        room = EmbeddedRoom(events, wall_clock_at_start_ns=0)
        viewer = Viewer(room, Feed(room, events))
        try:
            await viewer.peer.accept(await room.offer(viewer_id="one", sdp=await viewer.peer.offer()))
            feed = viewer._feed
            await feed.until(lambda: bool(events.viewers))
            fragment = f"a=ice-ufrag:gone\r\na=ice-pwd:{'p' * 22}\r\n"
            await room.restart_ice(viewer_id="one", fragment=fragment)
            await feed.until(lambda: len(events.viewers) == 2)
            assert events.viewers[1] == ("left", "one", 0)
        finally:
            await viewer.peer.aclose()
            await room.aclose()

    async def bounded() -> None:
        with anyio.fail_after(30):
            await scenario()

    asyncio.run(bounded())


def test_restarts_at_the_same_time_leave_the_viewer_in_its_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last one counts. An earlier one that still looked for a path had removed the viewer in the end."""
    monkeypatch.setattr(sending_peer, "RESTART_WITHIN_S", 1.0)

    async def scenario() -> None:
        events = RecordedEvents()
        room = EmbeddedRoom(events, wall_clock_at_start_ns=0)
        viewer = Viewer(room, Feed(room, events))
        receiving: asyncio.Task[None] | None = None
        try:
            await viewer.peer.accept(await room.offer(viewer_id="one", sdp=await viewer.peer.offer()))
            receiving = asyncio.create_task(viewer.receive())
            await viewer.sees(3)
            lost = (f"a=ice-ufrag:gone{n}\r\na=ice-pwd:{'p' * 22}\r\n" for n in range(3))
            asked = [*lost, viewer.new_credentials()]
            await room.restart_ice(viewer_id="one", fragment=asked[0])
            restarted = await asyncio.gather(*(room.restart_ice(viewer_id="one", fragment=one) for one in asked[1:]))
            assert [one.ice_session for one in restarted] == [2, 3, 4]
            await viewer.follow(restarted[-1].fragment)
            await asyncio.sleep(2 * sending_peer.RESTART_WITHIN_S)  # that nothing more happens is what is tested
            await viewer.sees(3)
            assert events.viewers == [("joined", "one", 1)]
        finally:
            await viewer.peer.aclose()
            await room.aclose()
            if receiving is not None:
                await receiving

    async def bounded() -> None:
        with anyio.fail_after(30):
            await scenario()

    asyncio.run(bounded())
