"""How far an utterance was heard that the bot does not hear."""

from __future__ import annotations

import pytest
from pipecat_visavis.spoken import Began, Heard, Over, Spoken

pytestmark = pytest.mark.short

RATE_HZ = 1000


def told(items: list[Began | Heard | Over | str]) -> list[str | int]:
    """Return what was told: ids with a sign, samples as their number, and frames."""
    names: list[str | int] = []
    for item in items:
        match item:
            case Began(utterance_id=name):
                names.append(f"+{name}")
            case Over(utterance_id=name):
                names.append(f"-{name}")
            case Heard(pcm=pcm):
                names.append(len(pcm) // 2)
            case _:
                names.append(item)
    return names


def send(spoken: Spoken[str], name: str, seconds: float, *, whole: bool = True) -> None:
    spoken.begin(name)
    spoken.sent(name, bytes(2 * round(seconds * RATE_HZ)), RATE_HZ)
    if whole:
        spoken.whole(name)


def test_speech_is_heard_in_real_time_from_its_beginning_to_its_told_end() -> None:
    spoken: Spoken[str] = Spoken()
    send(spoken, "one", 1.0)
    assert spoken.advance(100.0) == [] and not spoken.is_speaking and spoken.remaining_s == 1.0
    spoken.started("one", 100.0)
    assert told(spoken.advance(100.25)) == ["+one", 250] and spoken.is_speaking
    assert told(spoken.advance(100.5)) == [250] and spoken.remaining_s == pytest.approx(0.5)
    assert told(spoken.advance(103.0)) == [500]  # never more than was sent
    assert not spoken.is_idle
    spoken.finished("one", 1.0)
    assert told(spoken.advance(103.1)) == ["-one"] and spoken.is_idle and not spoken.is_speaking


def test_the_end_tells_what_the_clock_did_not_and_the_next_one_follows() -> None:
    spoken: Spoken[str] = Spoken()
    send(spoken, "one", 0.3)
    send(spoken, "two", 0.2)
    spoken.started("one", 0.0)
    spoken.advance(0.1)
    spoken.finished("one", 0.3)
    spoken.started("two", 0.3)
    assert told(spoken.advance(0.35)) == [200, "-one", "+two", 50]
    spoken.finished("two", 0.1)  # interrupted by somebody else
    assert told(spoken.advance(0.36)) == [50, "-two"]


def test_frames_wait_for_their_place_and_those_behind_the_whole_for_its_end() -> None:
    spoken: Spoken[str] = Spoken()
    assert not spoken.hold("nothing is spoken")
    send(spoken, "one", 0.4, whole=False)
    assert spoken.hold("late", at_s=0.3) and spoken.hold("early", at_s=0.1) and spoken.hold("last")
    spoken.whole("one")
    assert spoken.hold("ended")
    spoken.started("one", 0.0)
    assert told(spoken.advance(0.2)) == ["+one", 100, "early", 100]
    assert told(spoken.advance(0.5)) == [100, "late", 100]  # more of it may come before the last word
    spoken.finished("one", 0.4)
    assert told(spoken.advance(0.5)) == ["last", "-one", "ended"]


def test_an_interruption_drops_everything_and_late_news_of_it_change_nothing() -> None:
    spoken: Spoken[str] = Spoken()
    send(spoken, "one", 1.0)
    spoken.hold("ended")
    send(spoken, "two", 1.0, whole=False)
    spoken.hold("word", at_s=0.5)
    spoken.started("one", 0.0)
    spoken.advance(0.2)
    assert spoken.drop() == ["ended", "word"] and spoken.is_idle and spoken.remaining_s == 0.0
    send(spoken, "three", 0.1)
    spoken.finished("one", 0.25)
    spoken.started("two", 0.3)
    spoken.sent("two", bytes(100), RATE_HZ)
    assert spoken.advance(0.4) == []
    spoken.started("three", 0.4)
    spoken.finished("three", 0.1)
    assert told(spoken.advance(0.5)) == ["+three", 100, "-three"]


def test_an_utterance_that_was_refused_tells_no_beginning_and_releases_what_waits() -> None:
    spoken: Spoken[str] = Spoken()
    send(spoken, "one", 1.0)
    spoken.hold("ended")
    spoken.finished("one", 0.0)
    assert told(spoken.advance(0.0)) == ["ended"] and spoken.is_idle
