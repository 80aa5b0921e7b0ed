from __future__ import annotations

from visavis.rooms.backlog import MAX_AUDIO_PACKETS, MAX_VIDEO_PACKETS, Backlog
from visavis.rooms.port import EncodedPacket, MediaKind


def packet(position: int, kind: MediaKind = "video", *, keyframe: bool = False) -> EncodedPacket:
    return EncodedPacket(kind=kind, data=b"", position=position, keyframe=keyframe)


def positions(backlog: Backlog) -> list[int]:
    taken = []
    while (packet := backlog.take()) is not None:
        taken.append(packet.position)
    return taken


def test_video_begins_with_a_keyframe() -> None:
    backlog = Backlog("video")
    requested = [backlog.put(packet(n, keyframe=n == 2)) for n in range(5)]
    assert positions(backlog) == [2, 3, 4]
    assert not any(requested), "a viewer that joins has already requested one"


def test_when_pictures_overflow_all_are_dropped_and_one_keyframe_is_requested() -> None:
    backlog = Backlog("video")
    requested = [backlog.put(packet(n, keyframe=n == 0)) for n in range(MAX_VIDEO_PACKETS + 5)]
    assert requested.count(True) == 1 and requested[MAX_VIDEO_PACKETS]
    assert backlog.dropped == MAX_VIDEO_PACKETS
    backlog.put(packet(99, keyframe=True))
    assert positions(backlog) == [99]


def test_a_keyframe_replaces_a_full_backlog() -> None:
    backlog = Backlog("video")
    requested = [backlog.put(packet(n, keyframe=True)) for n in range(MAX_VIDEO_PACKETS + 1)]
    assert positions(backlog) == [MAX_VIDEO_PACKETS] and not any(requested)


def test_when_sound_overflows_the_oldest_is_dropped() -> None:
    backlog = Backlog("audio")
    assert not any(backlog.put(packet(n, "audio")) for n in range(MAX_AUDIO_PACKETS + 3))
    assert positions(backlog) == list(range(3, MAX_AUDIO_PACKETS + 3)) and backlog.dropped == 3


def test_dropped_pictures_need_a_keyframe_and_dropped_sound_does_not() -> None:
    video, audio = Backlog("video"), Backlog("audio")
    assert not video.drop(), "it was empty"
    video.put(packet(0, keyframe=True))
    audio.put(packet(0, "audio"))
    assert video.drop() and not video.drop() and not audio.drop()
    video.put(packet(1))
    audio.put(packet(1, "audio"))
    assert positions(video) == [] and positions(audio) == [1]
