"""The send path of a session: what leaves, when, and what a viewer gets that loses packets or cannot keep up."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from tests.rooms.webrtc.local_viewer import RESEND_SSRC, SSRCS, START_NS, LocalViewer, Rtp
from visavis.rooms.backlog import MAX_AUDIO_PACKETS, MAX_VIDEO_PACKETS
from visavis.rooms.native import PAYLOAD_MAX_BYTES
from visavis.rooms.port import EncodedPacket, MediaKind
from visavis.rooms.webrtc.send_path import (
    FIRST_SLICE_PACKETS,
    FRESH_SAMPLES,
    MIN_SLICE_PACKETS,
    SLICE_DATAGRAMS,
    SLICE_PACKETS,
    SendPath,
)
from visavis.rooms.webrtc.sender_reports import unix_time_s
from visavis.rooms.webrtc.viewer_link import MAX_WAITING_BYTES

BLOCK = 960


@dataclass
class Events:
    """Implements `SendPathEvents`."""

    keyframes_wanted: int = 0
    sent: list[tuple[MediaKind, int]] = field(default_factory=list)
    picture_sent: asyncio.Event = field(default_factory=asyncio.Event)

    def keyframe_wanted(self) -> None:
        self.keyframes_wanted += 1

    def media_sent(self, kind: MediaKind, position: int) -> None:
        self.sent.append((kind, position))
        if kind == "video":
            self.picture_sent.set()


def picture(position: int, *, packets: int = 1, keyframe: bool = False) -> EncodedPacket:
    size = packets * (PAYLOAD_MAX_BYTES - 4) - 10
    return EncodedPacket(kind="video", data=os.urandom(size), position=position, keyframe=keyframe)


def block(position: int) -> EncodedPacket:
    return EncodedPacket(kind="audio", data=os.urandom(120), position=position)


@asynccontextmanager
async def watched(
    count: int = 1, *, relayed: bool = False
) -> AsyncIterator[tuple[SendPath, Events, list[LocalViewer]]]:
    events = Events()
    path = SendPath(events)
    viewers = [LocalViewer(path, relayed=relayed) for _ in range(count)]
    try:
        yield path, events, viewers
    finally:
        for viewer in viewers:
            viewer.close()


async def step() -> None:
    """Let the event loop make the next step."""
    await asyncio.sleep(0)
    await asyncio.sleep(0)


def pictures_of(packets: list[Rtp]) -> list[bytes]:
    """Return the pictures that a viewer puts together."""
    pictures = [b""]
    for packet in packets:
        if packet.ssrc == SSRCS["video"]:
            pictures[-1] += packet.payload[4:]
            if packet.marker:
                pictures.append(b"")
    return pictures[:-1]


def test_what_nobody_watches_is_dropped() -> None:
    async def scenario() -> None:
        events = Events()
        path = SendPath(events)
        path.publish(picture(0, keyframe=True))
        path.publish(block(0))
        await step()
        assert not events.sent and path.drop_backlog() is None
        viewer = LocalViewer(path)
        await step()
        assert not viewer.arrived()
        viewer.close()

    asyncio.run(scenario())


def test_all_viewers_get_all_media_on_one_clock_without_a_gap() -> None:
    async def scenario() -> None:
        async with watched(3) as (path, events, viewers):
            published = [picture(n * 2 * BLOCK, packets=3, keyframe=n == 0) for n in range(5)]
            sound = [block(n * BLOCK) for n in range(10)]
            for number, packet in enumerate(sound):
                path.publish(packet)
                if number % 2 == 0:
                    path.publish(published[number // 2])
                await step()
            for viewer in viewers:
                arrived = viewer.arrived()
                assert pictures_of(arrived) == [packet.data for packet in published]
                steps: tuple[tuple[MediaKind, int], ...] = (("video", 3600), ("audio", BLOCK))
                for kind, step_ticks in steps:
                    packets = [packet for packet in arrived if packet.ssrc == SSRCS[kind]]
                    first = packets[0].sequence
                    assert [packet.sequence - first for packet in packets] == list(range(len(packets)))
                    times = sorted({(packet.timestamp - packets[0].timestamp) % 2**32 for packet in packets})
                    assert times == [n * step_ticks for n in range(len(times))]
            assert [sent for sent in events.sent if sent[0] == "video"] == [("video", p.position) for p in published]
            assert len({viewer.link.viewer.streams[0].timestamp_offset for viewer in viewers}) == 3

    asyncio.run(scenario())


def test_the_first_reports_come_with_the_first_packets_and_tell_the_time_of_the_media() -> None:
    async def scenario() -> None:
        async with watched() as (path, _, [viewer]):
            path.publish(block(48_000))
            await step()
            [report] = viewer.reported()
            [packet] = viewer.arrived()
            assert (report.ssrc, report.rtp_time, report.packets) == (SSRCS["audio"], packet.timestamp, 1)
            assert unix_time_s(report.ntp) == pytest.approx(START_NS / 1e9 + 1)
            path.publish(picture(96_000, packets=2, keyframe=True))
            await step()
            [report] = viewer.reported()
            assert (report.ssrc, report.packets) == (SSRCS["video"], 2)
            assert {packet.timestamp for packet in viewer.arrived()} == {report.rtp_time}
            assert unix_time_s(report.ntp) == pytest.approx(START_NS / 1e9 + 2)

    asyncio.run(scenario())


def test_a_large_picture_leaves_in_slices_and_sound_overtakes_it() -> None:
    async def scenario() -> None:
        async with watched() as (path, events, [viewer]):
            large = picture(0, packets=3 * SLICE_PACKETS, keyframe=True)
            path.publish(large)
            await step()
            arrived = viewer.arrived()
            assert len(arrived) == SLICE_PACKETS and not events.sent
            path.publish(block(0))
            await step()
            assert [packet.ssrc for packet in viewer.arrived()] == [SSRCS["audio"]]
            async with asyncio.timeout(5):
                await events.picture_sent.wait()
            arrived += viewer.arrived()
            assert pictures_of(arrived) == [large.data]

    asyncio.run(scenario())


def test_slices_are_smaller_for_many_viewers() -> None:
    async def scenario() -> None:
        async with watched() as (path, _, [viewer]):
            path._links *= SLICE_DATAGRAMS  # the same one, many times
            path.publish(picture(0, packets=SLICE_PACKETS, keyframe=True))
            await step()
            assert len(viewer.arrived()) == MIN_SLICE_PACKETS
            path._links = path._links[:1]

    asyncio.run(scenario())


def test_a_viewer_that_comes_later_begins_with_the_next_keyframe() -> None:
    async def scenario() -> None:
        async with watched() as (path, _, [first]):
            path.publish(picture(0, keyframe=True))
            path.publish(picture(FRESH_SAMPLES + 1))
            await step()
            assert not path.has_fresh_keyframe
            second = LocalViewer(path)
            path.publish(picture(FRESH_SAMPLES + BLOCK))
            path.publish(block(BLOCK))
            await step()
            assert [packet.ssrc for packet in second.arrived()] == [SSRCS["audio"]]
            assert not path.begins_at_once(second.link)
            keyframe = picture(FRESH_SAMPLES + 2 * BLOCK, keyframe=True)
            path.publish(keyframe)
            await step()
            assert pictures_of(second.arrived()) == [keyframe.data]
            second.close()
            path.publish(picture(FRESH_SAMPLES + 3 * BLOCK))
            await step()
            assert len(pictures_of(first.arrived())) == 5

    asyncio.run(scenario())


@pytest.mark.parametrize("relayed", [False, True])
def test_a_viewer_begins_with_a_keyframe_that_has_just_left_and_all_that_followed(relayed: bool) -> None:
    async def scenario() -> None:
        async with watched() as (path, events, [first]):
            published = [picture(n * 2 * BLOCK, packets=SLICE_PACKETS, keyframe=n == 0) for n in range(4)]
            for packet in published[:3]:
                path.publish(packet)
                await step()
            second = LocalViewer(path, relayed=relayed)
            received = second.relayed_packets if relayed else second.arrived
            assert path.begins_at_once(second.link)
            path.publish(published[3])
            await step()
            arrived = received()
            assert len(arrived) == FIRST_SLICE_PACKETS, "a large keyframe at once, the rest in slices"
            events.picture_sent.clear()
            async with asyncio.timeout(5):
                await events.picture_sent.wait()
            arrived += received()
            numbers = [packet.sequence for packet in arrived]
            assert numbers == [(numbers[0] + n) & 0xFFFF for n in range(len(numbers))]
            assert pictures_of(arrived) == pictures_of(first.arrived()) == [packet.data for packet in published]
            path.resend(second.link, "video", [numbers[1]])
            [again] = received()
            assert again.payload[2:] == arrived[1].payload
            assert second.link.sent_counts()[0] == len(arrived) == first.link.sent_counts()[0]
            second.close()

    asyncio.run(scenario())


def test_pictures_wait_for_a_viewer_that_is_about_to_connect() -> None:
    async def scenario() -> None:
        events = Events()
        path = SendPath(events)
        path.await_viewers(True)
        published = [picture(n * 2 * BLOCK, packets=3, keyframe=n == 0) for n in range(3)]
        for packet in published:
            path.publish(packet)
            path.publish(block(packet.position))
            await step()
        assert path.has_fresh_keyframe and not events.sent
        viewer = LocalViewer(path)
        path.await_viewers(False)
        await step()
        arrived = viewer.arrived()
        assert pictures_of(arrived) == [packet.data for packet in published]
        assert {packet.ssrc for packet in arrived} == {SSRCS["video"]}, "sound begins with the next block"
        assert events.sent == [("video", 4 * BLOCK)]
        assert [report.packets for report in viewer.reported()] == [len(arrived)]
        viewer.close()

    asyncio.run(scenario())


def test_pictures_that_nobody_came_for_are_forgotten() -> None:
    async def scenario() -> None:
        path = SendPath(Events())
        path.await_viewers(True)
        path.publish(picture(0, keyframe=True))
        await step()
        path.await_viewers(False)
        assert not path.has_fresh_keyframe
        viewer = LocalViewer(path)
        path.publish(picture(2 * BLOCK))
        await step()
        assert not viewer.arrived()
        viewer.close()

    asyncio.run(scenario())


def test_a_viewer_does_not_begin_with_a_keyframe_after_which_a_picture_is_missing() -> None:
    async def scenario() -> None:
        async with watched() as (path, _, [_viewer]):
            path.publish(picture(0, keyframe=True))
            await step()
            path.publish(picture(2 * BLOCK))
            path.drop_backlog()
            assert not path.has_fresh_keyframe

    asyncio.run(scenario())


def test_every_packet_of_the_last_seconds_is_sent_again_if_it_is_lost() -> None:
    async def scenario() -> None:
        async with watched() as (path, _, [viewer]):
            for number in range(50):
                path.publish(picture(number * 2 * BLOCK, packets=4, keyframe=number == 0))
                await step()
            arrived = {packet.sequence: packet for packet in viewer.arrived()}
            lost = [sequence for index, sequence in enumerate(arrived) if index % 7 == 0]
            path.resend(viewer.link, "video", lost)
            again = viewer.arrived()
            assert {packet.ssrc for packet in again} == {RESEND_SSRC}
            repaired = {int.from_bytes(packet.payload[:2]): packet.payload[2:] for packet in again}
            assert repaired == {sequence: arrived[sequence].payload for sequence in lost}

    asyncio.run(scenario())


def test_a_loop_that_is_held_up_drops_pictures_up_to_a_keyframe_and_the_oldest_sound() -> None:
    async def scenario() -> None:
        async with watched() as (path, events, [viewer]):
            path.publish(picture(0, keyframe=True))
            await step()
            for number in range(1, 2 * MAX_AUDIO_PACKETS):
                path.publish(block(number * BLOCK))
                path.publish(picture(number * BLOCK))
            assert events.keyframes_wanted == 1
            assert path.dropped == {"video": MAX_VIDEO_PACKETS, "audio": MAX_AUDIO_PACKETS - 1}
            await step()
            kinds = [packet.ssrc for packet in viewer.arrived()]
            assert kinds.count(SSRCS["audio"]) == MAX_AUDIO_PACKETS
            assert kinds.count(SSRCS["video"]) == 1, "the one before"

    asyncio.run(scenario())


def test_a_dropped_backlog_tells_the_first_sound_that_nobody_gets() -> None:
    async def scenario() -> None:
        async with watched() as (path, events, [viewer]):
            path.publish(picture(0, keyframe=True))
            path.publish(block(0))
            await step()
            viewer.arrived()
            path.publish(block(BLOCK))
            path.publish(block(2 * BLOCK))
            path.publish(picture(2 * BLOCK))
            assert path.drop_backlog() == BLOCK
            assert events.keyframes_wanted == 1
            assert path.drop_backlog() is None and events.keyframes_wanted == 1
            await step()
            assert not viewer.arrived()

    asyncio.run(scenario())


def test_a_relayed_viewer_gets_the_same_packets_by_its_relay() -> None:
    async def scenario() -> None:
        async with watched(relayed=True) as (path, events, [viewer]):
            published = picture(0, packets=SLICE_PACKETS - 1, keyframe=True)
            path.publish(published)
            await step()
            packets = viewer.relayed_packets()
            assert pictures_of(packets) == [published.data] and ("video", 0) in events.sent
            path.resend(viewer.link, "video", [packets[3].sequence])
            [again] = viewer.relayed_packets()
            assert again.payload[2:] == packets[3].payload
            assert not viewer.arrived()

    asyncio.run(scenario())


def test_a_relay_that_takes_nothing_is_left_out_until_it_does() -> None:
    async def scenario() -> None:
        async with watched(relayed=True) as (path, _, [viewer]):
            path.publish(picture(0, keyframe=True))
            await step()
            before = viewer.relayed_packets()[-1].sequence
            viewer.waiting_bytes = MAX_WAITING_BYTES + 1
            for number in range(1, 100):
                path.publish(picture(number * BLOCK))
                path.publish(block(number * BLOCK))
                await step()
            assert not viewer.relayed_packets() and viewer.link.dropped("video") == viewer.link.dropped("audio") == 99
            viewer.waiting_bytes = 0
            path.publish(picture(100 * BLOCK))
            path.publish(block(100 * BLOCK))
            await step()
            assert [packet.ssrc for packet in viewer.relayed_packets()] == [SSRCS["audio"]]
            assert viewer.keyframes_wanted == 1
            path.publish(picture(101 * BLOCK, keyframe=True))
            await step()
            [packet] = viewer.relayed_packets()
            assert packet.sequence == (before + 1) & 0xFFFF, "nothing that a viewer could miss"

    asyncio.run(scenario())


def test_packets_follow_the_path_of_the_connection() -> None:
    async def scenario() -> None:
        async with watched() as (path, _, [viewer]):
            for relayed in (False, True, False):
                viewer.relayed = relayed
                viewer.link.follow(viewer.route())
                viewer.passed_on.clear()
                path.publish(block(0))
                await step()
                assert (len(viewer.arrived()), len(viewer.relayed_packets())) == ((0, 1) if relayed else (1, 0))
            viewer.link.follow(None)
            path.publish(block(0))
            await step()
            assert not viewer.arrived() and not viewer.passed_on

    asyncio.run(scenario())
