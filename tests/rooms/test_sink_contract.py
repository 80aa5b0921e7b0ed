"""The contract tests of a sink (`rooms.port`) for every implementation: the embedded room with a real viewer, the Daily
room on a double of its library, and the recorders that tests use.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import cast

import anyio
import pytest

from tests.rooms.daily.module import daily
from tests.rooms.media import BLOCK, HEIGHT_PX, WIDTH_PX, Feed, RecordedEvents, brightness_at
from tests.rooms.recorders import MAX_BLOCKS, MAX_PICTURES, EncodedRecorder, RawRecorder
from visavis.rooms.daily.library import Library
from visavis.rooms.daily.outbox import Picture, Sound
from visavis.rooms.daily.room import DailyRoom
from visavis.rooms.embedded.room import EmbeddedRoom
from visavis.rooms.port import MediaKind, Sink
from visavis.rooms.spec import DailyRoomSpec
from visavis.rooms.webrtc.receiving_peer import ReceivingPeer
from visavis.stage.encoder import OPUS_DELAY_SAMPLES


@dataclass
class Harness:
    """A watched sink, its feed, and what has been received so far: positions, and the brightness of pictures."""

    sink: Sink
    events: RecordedEvents
    feed: Feed
    received: Callable[[MediaKind], list[int]]
    brightness: Callable[[], list[tuple[int, float]]]

    async def until_after(self, position: int) -> None:
        """Publish until sound and pictures after a position have been received."""
        await self.feed.until(lambda: all(max(self.received(k), default=-1) > position for k in ("audio", "video")))


@contextlib.asynccontextmanager
async def embedded_room() -> AsyncIterator[Harness]:
    events = RecordedEvents()
    room = EmbeddedRoom(events, wall_clock_at_start_ns=0)
    peer = ReceivingPeer()
    pictures: list[tuple[int, float]] = []  # pts and brightness
    blocks: list[int] = []  # pts

    # The performance's clock starts at unix time 0, so a media time is a position.
    async def receive_pictures() -> None:
        async for frame in peer.pictures():
            assert frame.pts is not None
            pictures.append((frame.pts, float(frame.to_ndarray(format="yuv420p")[:HEIGHT_PX].mean())))

    async def receive_sound() -> None:
        async for frame in peer.sound():
            assert frame.pts is not None
            blocks.append(frame.pts)

    def brightness() -> list[tuple[int, float]]:
        if not peer.synchronised:
            return []
        return [(round(peer.media_time_s("video", pts, arrived_s=0) * 48_000), grey) for pts, grey in pictures]

    def received(kind: MediaKind) -> list[int]:
        if kind == "video":
            return [position for position, _ in brightness()]
        if not peer.synchronised:
            return []
        return [round(peer.media_time_s("audio", pts, arrived_s=0) * 48_000) + OPUS_DELAY_SAMPLES for pts in blocks]

    feed = Feed(room, events)
    assert not room.watched
    receiving: list[asyncio.Task[None]] = []
    try:
        await peer.accept(await room.offer(viewer_id="viewer", sdp=await peer.offer()))
        receiving = [asyncio.create_task(receive_pictures()), asyncio.create_task(receive_sound())]
        await feed.until(lambda: peer.synchronised and bool(pictures) and bool(blocks))
        yield Harness(room, events, feed, received, brightness)
    finally:
        await peer.aclose()
        await room.aclose()
        await asyncio.gather(*receiving)


@contextlib.asynccontextmanager
async def encoded_recorder() -> AsyncIterator[Harness]:
    events = RecordedEvents()
    recorder = EncodedRecorder.open(events)

    def received(kind: MediaKind) -> list[int]:
        recorder.write()
        delay = OPUS_DELAY_SAMPLES if kind == "audio" else 0
        return [packet.position + delay for packet in recorder.written if packet.kind == kind]

    yield Harness(recorder, events, Feed(recorder, events), received, list)
    await recorder.aclose()


@contextlib.asynccontextmanager
async def raw_recorder() -> AsyncIterator[Harness]:
    events, recorder = RecordedEvents(), RawRecorder()

    def received(kind: MediaKind) -> list[int]:
        recorder.write()
        return [position for position, _ in (recorder.pictures if kind == "video" else recorder.sound)]

    def brightness() -> list[tuple[int, float]]:
        recorder.write()
        return [(position, float(pixels[:HEIGHT_PX].mean())) for position, pixels in recorder.pictures]

    yield Harness(recorder, events, Feed(recorder, events), received, brightness)
    await recorder.aclose()


class RecordingDailyRoom(DailyRoom):
    """A Daily room that records what its library has taken."""

    def record(self) -> None:
        self.pictures: list[tuple[int, float]] = []
        self.blocks: list[int] = []

    async def _write(self, item: Picture | Sound) -> None:
        await super()._write(item)
        if isinstance(item, Sound):
            self.blocks.append(item.position)
        else:
            self.pictures.append((item.position, sum(item.data[: item.width_px]) / item.width_px))


@contextlib.asynccontextmanager
async def daily_room() -> AsyncIterator[Harness]:
    url = "https://visavis.daily.co/contract"
    daily.meetings[url] = daily.Meeting(token="token")
    events = RecordedEvents()
    spec = DailyRoomSpec(url=url, token="token")
    room = await RecordingDailyRoom.open(spec, events, size_px=(WIDTH_PX, HEIGHT_PX), library=cast(Library, daily))
    assert isinstance(room, RecordingDailyRoom)
    room.record()

    def received(kind: MediaKind) -> list[int]:
        return [position for position, _ in room.pictures] if kind == "video" else room.blocks

    yield Harness(room, events, Feed(room, events), received, lambda: room.pictures)
    await room.aclose()


OpenSink = Callable[[], AbstractAsyncContextManager[Harness]]
Scenario = Callable[[Harness], Awaitable[None]]
every_sink = pytest.mark.parametrize("open_sink", [embedded_room, encoded_recorder, raw_recorder, daily_room])


def run(open_sink: OpenSink, scenario: Scenario) -> None:
    async def bounded() -> None:
        with anyio.fail_after(30):
            async with open_sink() as harness:
                await scenario(harness)

    asyncio.run(bounded())


@every_sink
def test_items_arrive_in_the_order_of_their_positions_with_their_content(open_sink: OpenSink) -> None:
    async def scenario(harness: Harness) -> None:
        await harness.until_after(harness.feed.position + 30 * BLOCK)
        steps: tuple[tuple[MediaKind, int], ...] = (("audio", BLOCK), ("video", 2 * BLOCK))
        for kind, step in steps:
            positions = harness.received(kind)
            assert positions == list(range(positions[0], positions[-1] + 1, step))
        assert all(abs(grey - brightness_at(position)) < 3 for position, grey in harness.brightness())

    run(open_sink, scenario)


@every_sink
def test_a_dropped_backlog_never_arrives(open_sink: OpenSink) -> None:
    async def scenario(harness: Harness) -> None:
        await harness.until_after(0)
        before = harness.feed.position
        await harness.until_after(before)  # everything before has arrived
        first = harness.feed.position
        harness.feed.publish(10)
        harness.sink.drop_backlog()
        last = harness.feed.position - 1
        await harness.until_after(last + 10 * BLOCK)
        for kind in ("audio", "video"):
            assert not [position for position in harness.received(kind) if first <= position <= last]
        if harness.sink.takes == "encoded":
            assert "missing" in harness.events.keyframes_wanted, "video resumes with a keyframe, which is requested"

    run(open_sink, scenario)


@every_sink
def test_the_backlog_is_bounded_and_drops_the_oldest_sound(open_sink: OpenSink) -> None:
    async def scenario(harness: Harness) -> None:
        await harness.until_after(0)
        first = harness.feed.position
        harness.feed.publish(400)  # 8 s within one step of the event loop
        last = harness.feed.position - 1
        await harness.until_after(last + 10 * BLOCK)
        sound = [position for position in harness.received("audio") if first <= position <= last]
        pictures = [position for position in harness.received("video") if first <= position <= last]
        assert sound == list(range(sound[0], last + 1, BLOCK)), "the newest sound, without a gap"
        assert MAX_BLOCKS - 1 <= len(sound) <= MAX_BLOCKS
        assert len(pictures) <= MAX_PICTURES

    run(open_sink, scenario)


@every_sink
def test_closing_is_idempotent_and_nothing_arrives_afterwards(open_sink: OpenSink) -> None:
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

    run(open_sink, scenario)


def test_an_encoded_sink_requests_a_keyframe_for_its_first_picture() -> None:
    for open_sink in (embedded_room, encoded_recorder):

        async def scenario(harness: Harness) -> None:
            assert harness.events.keyframes_wanted[0] == "joining"

        run(open_sink, scenario)
