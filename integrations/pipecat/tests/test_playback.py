"""Which sound is speech, and which frames wait for it."""

from __future__ import annotations

import pytest
from pipecat_visavis.playback import KEPT_BLOCKS, LATE_BLOCKS, UNTOLD_BLOCKS, Block, Playback, Sound

pytestmark = pytest.mark.short

SILENCE = Block(pcm=b"\0\0", duration_s=0.02, loudest=0)


def voice(number: int) -> Block:
    return Block(pcm=bytes([number, 0]), duration_s=0.02, loudest=1000)


def heard(items: list[Sound | str]) -> list[int | str]:
    return [item if isinstance(item, str) else item.block.pcm[0] for item in items]


def spoken(playback: Playback[str], utterance_id: str, seconds: float) -> None:
    playback.begin(utterance_id)
    playback.sent(utterance_id, bytes(round(seconds * 1000) * 2), 1000)


def test_silence_is_no_speech_and_an_utterance_begins_with_its_first_sound() -> None:
    playback: Playback[str] = Playback()
    assert [playback.take(SILENCE) for _ in range(50)] == [[]] * 50
    spoken(playback, "one", 0.06)
    for block in (SILENCE, voice(1), SILENCE):  # they come before the channel's event
        assert playback.take(block) == []
    assert heard(playback.started("one")) == [1, 0]  # a pause within speech is speech
    assert heard(playback.finished("one", 0.06)) == []
    assert heard(playback.take(voice(3))) == [3]
    assert playback.is_idle and playback.take(voice(4)) == []


def test_two_utterances_in_a_row_have_their_own_sound() -> None:
    playback: Playback[str] = Playback()
    for name in ("one", "two"):
        spoken(playback, name, 0.04)
    playback.started("one")
    assert heard(playback.take(voice(1))) == [1]
    playback.finished("one", 0.04)
    playback.started("two")
    items = [item for number in (2, 3, 4) for item in playback.take(voice(number))]
    assert [(item.utterance_id, item.block.pcm[0]) for item in items if isinstance(item, Sound)] == [
        ("one", 2),
        ("two", 3),
        ("two", 4),
    ]


def test_frames_wait_for_the_speech_before_them() -> None:
    playback: Playback[str] = Playback()
    assert not playback.hold("nothing is spoken")
    playback.begin("one")
    assert playback.hold("began")
    playback.sent("one", bytes(120), 1000)
    assert playback.hold("ended") and playback.hold("word", at_s=0.03)
    playback.started("one")
    assert heard(playback.take(voice(1))) == [1, "began"]
    assert heard(playback.take(voice(2))) == [2, "word"]
    assert heard(playback.take(voice(3))) == [3]  # more of it may come
    assert heard(playback.finished("one", 0.06)) == ["ended"]
    assert playback.is_idle


def test_an_interruption_drops_what_waits_and_the_sound_that_is_still_on_its_way() -> None:
    playback: Playback[str] = Playback()
    spoken(playback, "one", 5.0)
    playback.hold("word")
    playback.started("one")
    playback.take(voice(1))
    assert playback.drop() == ["word"] and playback.is_idle and playback.remaining_s == 0
    spoken(playback, "two", 0.02)
    playback.started("two")
    playback.finished("one", 0.06)
    assert heard(playback.take(voice(2))) == []
    assert heard(playback.take(SILENCE)) == []
    assert heard(playback.take(voice(3))) == [3]


def test_what_follows_an_interruption_without_a_pause_is_heard_from_its_first_block() -> None:
    playback: Playback[str] = Playback()
    spoken(playback, "one", 5.0)
    playback.started("one")
    playback.take(voice(1))
    playback.drop()
    playback.finished("one", 0.06)
    spoken(playback, "two", 0.1)
    playback.hold("ended")
    playback.started("two")
    items = [item for number in range(2, 9) for item in playback.take(voice(number))]
    items += playback.finished("two", 0.1)
    assert heard(items) == [4, 5, 6, 7, 8, "ended"]


def test_the_last_sound_of_an_utterance_is_not_the_beginning_of_the_next() -> None:
    for interrupted in (False, True):
        playback: Playback[str] = Playback()
        spoken(playback, "one", 0.04)
        playback.started("one")
        playback.take(voice(1))
        if interrupted:
            playback.drop()
        playback.finished("one", 0.04)
        spoken(playback, "two", 0.04)
        playback.started("two")
        blocks = [voice(2), voice(3), SILENCE, SILENCE, voice(4), voice(5)]  # Opus is late: 3 is still of "one"
        items = [item for block in blocks for item in playback.take(block)]
        assert heard(items)[-2:] == [4, 5] and 3 not in heard(items)


def test_an_interrupted_utterance_that_was_never_sent_holds_up_the_next_for_a_moment_alone() -> None:
    playback: Playback[str] = Playback()
    spoken(playback, "one", 1.0)
    playback.drop()
    spoken(playback, "two", 0.1)
    playback.started("two")
    assert [item for _ in range(UNTOLD_BLOCKS) for item in playback.take(SILENCE)] == []
    assert heard(playback.take(voice(1))) == [1]
    playback.drop()
    playback.finished("two", 0.02)
    spoken(playback, "three", 1.0)
    playback.drop()
    playback.interrupted()
    spoken(playback, "four", 0.1)
    playback.started("four")
    for _ in range(20):
        playback.take(SILENCE)
    assert heard(playback.take(voice(2))) == [2]


def test_lost_sound_holds_nothing_up_for_ever() -> None:
    playback: Playback[str] = Playback()
    spoken(playback, "one", 1.0)
    playback.hold("ended")
    playback.started("one")
    playback.take(voice(1))
    playback.finished("one", 10.0)
    items = [item for _ in range(LATE_BLOCKS + 1) for item in playback.take(SILENCE)]
    assert items[-1] == "ended" and playback.is_idle


def test_an_utterance_that_was_refused_is_over() -> None:
    playback: Playback[str] = Playback()
    spoken(playback, "one", 1.0)
    playback.hold("ended")
    assert playback.finished("one", 0.0) == ["ended"] and playback.is_idle


def test_sound_before_speech_is_bounded() -> None:
    playback: Playback[str] = Playback()
    playback.begin("one")
    for _ in range(3 * KEPT_BLOCKS):
        playback.take(voice(1))
    assert len(playback._kept) == KEPT_BLOCKS
