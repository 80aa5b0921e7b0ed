"""The contract tests of a viewer entrance (`rooms.port`), with real offers and real viewers."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from functools import partial

import anyio
import av
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from tests.rooms.media import BLOCK, HEIGHT_PX, WIDTH_PX, Feed, RecordedEvents, brightness_at
from tests.rooms.offers import make_offer
from visavis.errors import (
    CandidatesRefused,
    IceRestartUnavailable,
    OfferRefused,
    PreconditionFailed,
    RoomFull,
    TooManyOffers,
    ViewerNotFound,
)
from visavis.rooms.embedded import room as embedded_room
from visavis.rooms.keyframe_requests import AT_ONCE
from visavis.rooms.opening import open_room
from visavis.rooms.port import ViewerEntrance
from visavis.rooms.spec import EmbeddedRoomSpec, RoomSpec
from visavis.rooms.webrtc.receiving_peer import ReceivingPeer

ROOMS_WITH_AN_ENTRANCE: tuple[RoomSpec, ...] = (EmbeddedRoomSpec(),)

Scenario = Callable[[ViewerEntrance, RecordedEvents, Feed], Awaitable[None]]
Run = Callable[[Scenario], None]


@pytest.fixture(params=ROOMS_WITH_AN_ENTRANCE, ids=lambda spec: type(spec).__name__)
def run(request: pytest.FixtureRequest) -> Run:
    """Run a scenario with an open room of each kind, within 20 s."""

    async def bounded(scenario: Scenario) -> None:
        events = RecordedEvents()
        room = await open_room(request.param, events, size_px=(WIDTH_PX, HEIGHT_PX), wall_clock_at_start_ns=0)
        assert room.entrance is not None
        try:
            with anyio.fail_after(20):
                await scenario(room.entrance, events, Feed(room.sink, events))
        finally:
            await room.sink.aclose()

    return lambda scenario: asyncio.run(bounded(scenario))


def test_an_offer_is_answered_in_the_order_of_its_sections(run: Run) -> None:
    async def scenario(entrance: ViewerEntrance, events: RecordedEvents, feed: Feed) -> None:
        orders = {
            "one": ("video", "audio"),
            "two": ("audio", "video"),
            "three": ("video",),
            "four": ("audio",),
        }
        for viewer_id, kinds in orders.items():
            answer = await entrance.offer(viewer_id=viewer_id, sdp=await make_offer(*kinds))
            sections = [line.split()[0] for line in answer.splitlines() if line.startswith("m=")]
            assert sections == [f"m={kind}" for kind in kinds]
            assert answer.count("a=sendonly") == len(kinds) and "a=candidate:" in answer

    run(scenario)


def test_an_offer_that_cannot_be_answered_is_refused_and_leaves_no_viewer(run: Run) -> None:
    async def scenario(entrance: ViewerEntrance, events: RecordedEvents, feed: Feed) -> None:
        offer = await make_offer("video", "audio")
        for refused in ("nonsense", offer.replace("a=setup:actpass", "a=setup:nonsense")):
            with pytest.raises(OfferRefused):
                await entrance.offer(viewer_id="one", sdp=refused)
            assert not await entrance.remove_viewer("one")
        await entrance.offer(viewer_id="one", sdp=offer)
        with pytest.raises(OfferRefused, match="already"):
            await entrance.offer(viewer_id="one", sdp=offer)

    run(scenario)


def test_a_full_room_refuses_viewers_until_one_has_left(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded_room, "MAX_VIEWERS", 1)

    async def scenario(entrance: ViewerEntrance, events: RecordedEvents, feed: Feed) -> None:
        offer = await make_offer("video", "audio")
        peers = ReceivingPeer(), ReceivingPeer()
        try:
            answers = [await entrance.offer(viewer_id=str(n), sdp=await peer.offer()) for n, peer in enumerate(peers)]
            await peers[0].accept(answers[0])
            await feed.until(lambda: events.viewers == [("joined", "0", 1)])
            with pytest.raises(RoomFull):
                await entrance.offer(viewer_id="three", sdp=offer)
            await peers[1].accept(answers[1])  # its offer was answered while there was a seat
            while await is_in(entrance, "1"):
                feed.publish()
                await asyncio.sleep(0.02)
            assert events.viewers == [("joined", "0", 1)]
            assert await entrance.remove_viewer("0")
            assert (await entrance.offer(viewer_id="three", sdp=offer)).startswith("v=0")
        finally:
            for peer in peers:
                await peer.aclose()

    run(scenario)


async def is_in(entrance: ViewerEntrance, viewer_id: str) -> bool:
    try:
        await entrance.add_candidates(viewer_id=viewer_id, fragment="a=end-of-candidates")
    except ViewerNotFound:
        return False
    return True


def test_offers_that_never_connect_fill_no_room(run: Run) -> None:
    async def scenario(entrance: ViewerEntrance, events: RecordedEvents, feed: Feed) -> None:
        offer = await make_offer("video", "audio")
        offers = embedded_room.MAX_WAITING + 5
        for number in range(offers):
            await entrance.offer(viewer_id=f"never {number}", sdp=offer)
        peer = ReceivingPeer()
        try:
            await peer.accept(await entrance.offer(viewer_id="one", sdp=await peer.offer()))
            await feed.until(lambda: events.viewers == [("joined", "one", 1)])
        finally:
            await peer.aclose()
        there = [number for number in range(offers) if await is_in(entrance, f"never {number}")]
        assert there == list(range(6, offers)), "the oldest made room"
        assert isinstance(entrance, embedded_room.EmbeddedRoom)
        assert entrance.figures().never_connected == 6

    run(scenario)


def test_a_viewer_connects_by_candidates_that_come_after_its_offer(run: Run) -> None:
    async def scenario(entrance: ViewerEntrance, events: RecordedEvents, feed: Feed) -> None:
        peer = ReceivingPeer()
        try:
            offer = await peer.offer()
            candidates = [line for line in offer.splitlines() if line.startswith("a=candidate")]
            without = re.sub(r"a=(candidate:.*|end-of-candidates)\r\n", "", offer)
            answer = await entrance.offer(viewer_id="one", sdp=without)
            assert "a=ice-options:trickle" in answer
            ufrag = next(line for line in offer.splitlines() if line.startswith("a=ice-ufrag:"))
            fragment = "\r\n".join([ufrag, "m=video 9 UDP/TLS/RTP/SAVPF 0", "a=mid:0", *candidates, ""])
            await entrance.add_candidates(viewer_id="one", fragment=fragment)
            # the viewer knows no address of the server: only the server's checks can connect the two
            await peer.accept(re.sub(r"a=(candidate:.*|end-of-candidates)\r\n", "", answer))
            await feed.until(lambda: events.viewers == [("joined", "one", 1)])
        finally:
            await peer.aclose()

    run(scenario)


def test_candidates_of_another_ice_session_or_without_end_are_refused(run: Run) -> None:
    async def scenario(entrance: ViewerEntrance, events: RecordedEvents, feed: Feed) -> None:
        with pytest.raises(ViewerNotFound):
            await entrance.add_candidates(viewer_id="one", fragment="a=end-of-candidates")
        await entrance.offer(viewer_id="one", sdp=await make_offer("video"))
        with pytest.raises(CandidatesRefused, match="another ICE session"):
            await entrance.add_candidates(viewer_id="one", fragment="a=ice-ufrag:another")
        with pytest.raises(PreconditionFailed):
            await entrance.add_candidates(viewer_id="one", fragment="a=end-of-candidates", ice_session=1)
        with pytest.raises(IceRestartUnavailable):
            await entrance.restart_ice(viewer_id="one", fragment=f"a=ice-ufrag:another\r\na=ice-pwd:{'p' * 22}")
        with pytest.raises(CandidatesRefused):
            await entrance.add_candidates(viewer_id="one", fragment="nonsense")
        for number in range(embedded_room.MAX_FRAGMENTS):
            candidate = f"a=candidate:1 1 udp 5 192.0.2.{number + 1} 50000 typ host"
            await entrance.add_candidates(viewer_id="one", fragment=candidate)
        with pytest.raises(TooManyOffers):
            await entrance.add_candidates(viewer_id="one", fragment="a=end-of-candidates")

    run(scenario)


def test_a_flood_of_keyframe_requests_is_answered_at_a_limited_pace(run: Run) -> None:
    async def scenario(entrance: ViewerEntrance, events: RecordedEvents, feed: Feed) -> None:
        peer = ReceivingPeer()
        try:
            await peer.accept(await entrance.offer(viewer_id="one", sdp=await peer.offer()))
            pictures = peer.pictures()
            first = asyncio.ensure_future(anext(pictures))
            await feed.until(first.done)
            (receiver,) = (peer._receivers["video"],)
            for _ in range(200):
                await receiver._send_rtcp_pli(receiver.getSynchronizationSources()[0].source)
            asked = feed.position
            await feed.until(lambda: "missing" in events.keyframes_wanted and feed.position > asked + 24_000)
            assert events.keyframes_wanted.count("missing") <= AT_ONCE + 2
        finally:
            await peer.aclose()

    run(scenario)


def test_an_offer_that_is_cancelled_leaves_no_viewer(run: Run) -> None:
    async def scenario(entrance: ViewerEntrance, events: RecordedEvents, feed: Feed) -> None:
        offer = await make_offer("video", "audio")
        answering = asyncio.create_task(entrance.offer(viewer_id="one", sdp=offer))
        await asyncio.sleep(0)
        answering.cancel()
        with pytest.raises(asyncio.CancelledError):
            await answering
        assert not await entrance.remove_viewer("one")
        assert (await entrance.offer(viewer_id="one", sdp=offer)).startswith("v=0")

    run(scenario)


def test_a_viewer_that_does_not_connect_is_removed_without_an_event(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded_room, "CHECK_WITHIN_S", 0.0)

    async def scenario(entrance: ViewerEntrance, events: RecordedEvents, feed: Feed) -> None:
        offer = await make_offer("video", "audio")
        await entrance.offer(viewer_id="one", sdp=offer)
        while True:  # until the same viewer can join again
            try:
                await entrance.offer(viewer_id="one", sdp=offer)
                break
            except OfferRefused:
                await asyncio.sleep(0)
        assert not events.viewers
        assert isinstance(entrance, embedded_room.EmbeddedRoom)
        assert entrance.figures().never_connected >= 1

    run(scenario)


def test_each_viewer_joins_and_leaves_once_and_the_first_frame_is_one_event(run: Run) -> None:
    async def scenario(entrance: ViewerEntrance, events: RecordedEvents, feed: Feed) -> None:
        def has_joined(viewers: int) -> bool:
            return len(events.viewers) == viewers and events.first_frames > 0

        peers = {viewer_id: ReceivingPeer() for viewer_id in ("one", "two")}
        try:
            for number, (viewer_id, peer) in enumerate(peers.items(), 1):
                await peer.accept(await entrance.offer(viewer_id=viewer_id, sdp=await peer.offer()))
                await feed.until(partial(has_joined, number))
            assert await entrance.remove_viewer("one") and not await entrance.remove_viewer("one")
            await peers["two"].aclose()
            await feed.until(lambda: len(events.viewers) == 4)
        finally:
            for peer in peers.values():
                await peer.aclose()
        assert events.viewers == [("joined", "one", 1), ("joined", "two", 2), ("left", "one", 1), ("left", "two", 0)]
        assert events.first_frames == 1

    run(scenario)


@pytest.mark.parametrize("soon", [True, False])
def test_a_viewer_begins_with_the_picture_that_is_drawn_when_its_answer_has_left(
    run: Run, monkeypatch: pytest.MonkeyPatch, soon: bool
) -> None:
    """`soon`: its first check comes before that picture is too old."""
    monkeypatch.setattr(embedded_room, "AHEAD_GOOD_FOR_S", 60.0 if soon else -1.0)

    async def scenario(entrance: ViewerEntrance, events: RecordedEvents, feed: Feed) -> None:
        peer = ReceivingPeer()
        try:
            answer = await entrance.offer(viewer_id="one", sdp=await peer.offer())
            assert not feed.sink.watched and not events.keyframes_wanted, "the answer leaves first"
            while not events.keyframes_wanted:  # noqa: ASYNC110 (the recorder has no event)
                await asyncio.sleep(0.001)
            assert feed.sink.watched
            feed.publish(2)
            assert not feed.sink.watched, "one picture, and no more before it sends a check"
            await entrance.offer(viewer_id="two", sdp=await make_offer("video", "audio"))
            await asyncio.sleep(2 * embedded_room.AHEAD_AFTER_S)
            assert not feed.sink.watched and events.keyframes_wanted == ["joining"], "nor for who offers after it"
            await peer.accept(answer)
            first = asyncio.ensure_future(anext(peer.pictures()))
            if soon:
                while not events.viewers:  # noqa: ASYNC110 (nothing is published meanwhile)
                    await asyncio.sleep(0.001)
                feed.position += 100 * BLOCK  # pictures from now on are much brighter
            await feed.until(first.done)
            assert events.viewers == [("joined", "one", 1)]
            assert events.keyframes_before_joining == (1 if soon else 2)
            assert set(events.keyframes_wanted) == {"joining"}
            if soon:
                assert abs(bytes((await first).planes[0])[0] - brightness_at(0)) < 5
        finally:
            await peer.aclose()

    run(scenario)


def test_a_viewer_of_sound_alone_joins_and_needs_no_keyframe(run: Run) -> None:
    async def scenario(entrance: ViewerEntrance, events: RecordedEvents, feed: Feed) -> None:
        listener = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        try:
            receiver = listener.addTransceiver("audio", direction="recvonly").receiver
            await listener.setLocalDescription(await listener.createOffer())
            answer = await entrance.offer(viewer_id="one", sdp=listener.localDescription.sdp)
            await listener.setRemoteDescription(RTCSessionDescription(sdp=answer, type="answer"))
            came = asyncio.ensure_future(receiver.track.recv())
            await feed.until(came.done)
            assert isinstance(await came, av.AudioFrame)
            assert events.viewers == [("joined", "one", 1)] and events.first_frames == 1
            assert not events.keyframes_wanted
        finally:
            await listener.close()

    run(scenario)


def test_a_data_channel_is_rejected_in_the_answer_and_the_media_play(run: Run) -> None:
    async def scenario(entrance: ViewerEntrance, events: RecordedEvents, feed: Feed) -> None:
        peer = ReceivingPeer()
        try:
            offer = await peer.offer()
            data = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:2\r\na=sctp-port:5000\r\n"
            answer = await entrance.offer(viewer_id="one", sdp=offer.replace("BUNDLE 0 1", "BUNDLE 0 1 2") + data)
            media, refused = answer.split("m=application ")
            assert refused.startswith("0 UDP/DTLS/SCTP webrtc-datachannel\r\n") and "a=mid:2\r\n" in refused
            assert "a=group:BUNDLE 0 1\r\n" in media
            await peer.accept(media)
            await feed.until(lambda: events.viewers == [("joined", "one", 1)])
        finally:
            await peer.aclose()

    run(scenario)


def test_a_closed_room_refuses_offers(run: Run) -> None:
    async def scenario(entrance: ViewerEntrance, events: RecordedEvents, feed: Feed) -> None:
        offer = await make_offer("video", "audio")
        await entrance.offer(viewer_id="one", sdp=offer)
        await feed.sink.aclose()
        with pytest.raises(OfferRefused, match="closed"):
            await entrance.offer(viewer_id="two", sdp=offer)
        assert not await entrance.remove_viewer("one")

    run(scenario)
