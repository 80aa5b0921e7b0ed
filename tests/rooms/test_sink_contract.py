"""The contract of a sink (`rooms.port`), which every implementation passes: the embedded room with a real viewer, and
the recorders that tests use.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

import anyio
import pytest

from tests.rooms.media import BLOCK, HEIGHT_PX, Feed, HeardEvents, brightness_at
from tests.rooms.recorders import MAX_BLOCKS, MAX_PICTURES, EncodedRecorder, RawRecorder
from visavis.rooms.embedded.room import EmbeddedRoom
from visavis.rooms.port import MediaKind, Sink
from visavis.rooms.webrtc.receiving_peer import ReceivingPeer
from visavis.stage.encoder import OPUS_DELAY_SAMPLES


@dataclass
class Harness:
    """A sink that is watched, its feed, and what has come of it so far: positions, and the pictures' brightness."""

    sink: Sink
    events: HeardEvents
    feed: Feed
    received: Callable[[MediaKind], list[int]]
    brightness: Callable[[], list[tuple[int, float]]]

    async def until_after(self, position: int) -> None:
        """Feed until sound and pictures later than a position have come."""
        await self.feed.until(lambda: all(max(self.received(k), default=-1) > position for k in ("audio", "video")))


@contextlib.asynccontextmanager
async def embedded_room() -> AsyncIterator[Harness]:
    events = HeardEvents()
    room = EmbeddedRoom(events, wall_clock_at_start_ns=0)
    peer = ReceivingPeer()
    seen: list[tuple[int, float]] = []
    heard: list[int] = []

    # The performance's clock began at unix time 0: a media time is a position.
    async def see() -> None:
        async for frame in peer.pictures():
            assert frame.pts is not None
            seen.append((frame.pts, float(frame.to_ndarray(format="yuv420p")[:HEIGHT_PX].mean())))

    async def hear() -> None:
        async for frame in peer.sound():
            assert frame.pts is not None
            heard.append(frame.pts)

    def seen_at() -> list[tuple[int, float]]:
        if not peer.synchronised:
            return []
        return [(round(peer.media_time_s("video", pts, arrived_s=0) * 48_000), grey) for pts, grey in seen]

    def received(kind: MediaKind) -> list[int]:
        if kind == "video":
            return [position for position, _ in seen_at()]
        if not peer.synchronised:
            return []
        return [round(peer.media_time_s("audio", pts, arrived_s=0) * 48_000) + OPUS_DELAY_SAMPLES for pts in heard]

    feed = Feed(room, events)
    assert not room.watched
    taking: list[asyncio.Task[None]] = []
    try:
        await peer.accept(await room.offer(viewer_id="viewer", sdp=await peer.offer()))
        taking = [asyncio.create_task(see()), asyncio.create_task(hear())]
        await feed.until(lambda: peer.synchronised and bool(seen) and bool(heard))
        yield Harness(room, events, feed, received, seen_at)
    finally:
        await peer.aclose()
        await room.aclose()
        await asyncio.gather(*taking)


@contextlib.asynccontextmanager
async def encoded_recorder() -> AsyncIterator[Harness]:
    events = HeardEvents()
    recorder = EncodedRecorder.open(events)

    def received(kind: MediaKind) -> list[int]:
        recorder.write()
        delay = OPUS_DELAY_SAMPLES if kind == "audio" else 0
        return [packet.position + delay for packet in recorder.written if packet.kind == kind]

    yield Harness(recorder, events, Feed(recorder, events), received, list)
    await recorder.aclose()


@contextlib.asynccontextmanager
async def raw_recorder() -> AsyncIterator[Harness]:
    events, recorder = HeardEvents(), RawRecorder()

    def received(kind: MediaKind) -> list[int]:
        recorder.write()
        return [position for position, _ in (recorder.pictures if kind == "video" else recorder.sound)]

    def brightness() -> list[tuple[int, float]]:
        recorder.write()
        return [(position, float(pixels[:HEIGHT_PX].mean())) for position, pixels in recorder.pictures]

    yield Harness(recorder, events, Feed(recorder, events), received, brightness)
    await recorder.aclose()


Open = Callable[[], AbstractAsyncContextManager[Harness]]
Scenario = Callable[[Harness], Awaitable[None]]
every_sink = pytest.mark.parametrize("opened", [embedded_room, encoded_recorder, raw_recorder])


def run(opened: Open, scenario: Scenario) -> None:
    async def bounded() -> None:
        with anyio.fail_after(30):
            async with opened() as harness:
                await scenario(harness)

    asyncio.run(bounded())


@every_sink
def test_items_come_in_the_order_of_their_positions_and_show_what_was_published(opened: Open) -> None:
    async def scenario(harness: Harness) -> None:
        await harness.until_after(harness.feed.position + 30 * BLOCK)
        steps: tuple[tuple[MediaKind, int], ...] = (("audio", BLOCK), ("video", 2 * BLOCK))
        for kind, step in steps:
            positions = harness.received(kind)
            assert positions == list(range(positions[0], positions[-1] + 1, step))
        assert all(abs(grey - brightness_at(position)) < 3 for position, grey in harness.brightness())

    run(opened, scenario)


@every_sink
def test_a_backlog_that_was_dropped_never_comes(opened: Open) -> None:
    async def scenario(harness: Harness) -> None:
        await harness.until_after(0)
        before = harness.feed.position
        await harness.until_after(before)  # what was on its way has come
        first = harness.feed.position
        harness.feed.publish(10)
        harness.sink.drop_backlog()
        last = harness.feed.position - 1
        await harness.until_after(last + 10 * BLOCK)
        for kind in ("audio", "video"):
            assert not [position for position in harness.received(kind) if first <= position <= last]
        if harness.sink.takes == "encoded":
            assert "missing" in harness.events.keyframes_wanted, "video goes on with a keyframe, which is asked for"

    run(opened, scenario)


@every_sink
def test_what_nobody_takes_is_bounded_and_costs_the_oldest_sound(opened: Open) -> None:
    async def scenario(harness: Harness) -> None:
        await harness.until_after(0)
        first = harness.feed.position
        harness.feed.publish(400)  # 8 s within one step of the event loop
        last = harness.feed.position - 1
        await harness.until_after(last + 10 * BLOCK)
        sound = [position for position in harness.received("audio") if first <= position <= last]
        pictures = [position for position in harness.received("video") if first <= position <= last]
        assert sound == list(range(sound[0], last + 1, BLOCK)), "the newest, without a gap"
        assert MAX_BLOCKS - 1 <= len(sound) <= MAX_BLOCKS
        assert len(pictures) <= MAX_PICTURES

    run(opened, scenario)


@every_sink
def test_closing_is_idempotent_and_nothing_comes_afterwards(opened: Open) -> None:
    async def scenario(harness: Harness) -> None:
        await harness.until_after(0)
        assert harness.sink.watched
        with anyio.fail_after(3):
            await asyncio.gather(harness.sink.aclose(), harness.sink.aclose())
            await harness.sink.aclose()
        assert not harness.sink.watched
        last = harness.feed.position
        harness.feed.publish(5)
        harness.sink.drop_backlog()
        assert all(position < last for kind in ("audio", "video") for position in harness.received(kind))

    run(opened, scenario)


def test_an_encoded_sink_asks_for_the_keyframe_that_its_first_picture_is() -> None:
    for opened in (embedded_room, encoded_recorder):

        async def scenario(harness: Harness) -> None:
            assert harness.events.keyframes_wanted[0] == "joining"

        run(opened, scenario)
