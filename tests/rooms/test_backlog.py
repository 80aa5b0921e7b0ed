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
    asked = [backlog.put(packet(n, keyframe=n == 2)) for n in range(5)]
    assert positions(backlog) == [2, 3, 4]
    assert not any(asked), "the one that joins has asked already"


def test_pictures_that_overflow_all_go_and_a_keyframe_is_asked_for_once() -> None:
    backlog = Backlog("video")
    asked = [backlog.put(packet(n, keyframe=n == 0)) for n in range(MAX_VIDEO_PACKETS + 5)]
    assert asked.count(True) == 1 and asked[MAX_VIDEO_PACKETS]
    backlog.put(packet(99, keyframe=True))
    assert positions(backlog) == [99]


def test_a_keyframe_takes_the_place_of_a_full_backlog() -> None:
    backlog = Backlog("video")
    asked = [backlog.put(packet(n, keyframe=True)) for n in range(MAX_VIDEO_PACKETS + 1)]
    assert positions(backlog) == [MAX_VIDEO_PACKETS] and not any(asked)


def test_sound_that_overflows_loses_its_oldest() -> None:
    backlog = Backlog("audio")
    assert not any(backlog.put(packet(n, "audio")) for n in range(MAX_AUDIO_PACKETS + 3))
    assert positions(backlog) == list(range(3, MAX_AUDIO_PACKETS + 3))


def test_dropped_pictures_need_a_keyframe_and_dropped_sound_does_not() -> None:
    video, audio = Backlog("video"), Backlog("audio")
    assert not video.drop(), "nothing was there"
    video.put(packet(0, keyframe=True))
    audio.put(packet(0, "audio"))
    assert video.drop() and not video.drop() and not audio.drop()
    video.put(packet(1))
    audio.put(packet(1, "audio"))
    assert positions(video) == [] and positions(audio) == [1]
