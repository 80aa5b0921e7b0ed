"""Events that a stage keeps until they are acknowledged."""

from __future__ import annotations

import random

from visavis.stage.event_log import EventLog
from visavis.stage.port.events import PerformerEnded, PlaybackStarted
from visavis.stage.port.messages import UNTOLD_FROM, Event


def started(name: str) -> PlaybackStarted:
    return PlaybackStarted(utterance_id=name)


def kept(log: EventLog) -> list[tuple[str, int]]:
    return [(event.session_id, event.number) for event in log.unacknowledged()]


def test_each_session_counts_its_events_from_1_and_all_are_kept_in_their_order() -> None:
    log = EventLog()
    for session_id in ("a", "b", "a", "a", "b"):
        log.add(session_id, started("u"))
    assert kept(log) == [("a", 1), ("b", 1), ("a", 2), ("a", 3), ("b", 2)]


def test_an_acknowledgement_covers_the_events_of_its_session_up_to_its_number() -> None:
    log = EventLog()
    for session_id in ("a", "b", "a", "a", "b"):
        log.add(session_id, started("u"))
    log.acknowledge("a", 2)
    assert kept(log) == [("b", 1), ("a", 3), ("b", 2)]
    log.acknowledge("a", 1)
    log.acknowledge("nobody", 9)
    assert kept(log) == [("b", 1), ("a", 3), ("b", 2)]
    assert log.add("a", started("v")).number == 4


def test_what_the_client_was_told_is_kept_until_it_is_acknowledged_and_says_so() -> None:
    log = EventLog()
    log.keep_untold("a", [Event(session_id="a", event=started("t"), number=UNTOLD_FROM + place) for place in range(2)])
    for name in ("u", "v", "w"):
        log.add("a", started(name))
    log.tell("a", (2, UNTOLD_FROM + 1, 99))
    log.tell("nobody", (1,))
    told = [(event.number, event.told) for event in log.unacknowledged()]
    assert told == [(UNTOLD_FROM, False), (UNTOLD_FROM + 1, True), (1, False), (2, True), (3, False)]
    log.acknowledge("a", UNTOLD_FROM - 1)
    assert len(kept(log)) == 5, "nothing is acknowledged by what was told"
    log.acknowledge("a", 2)
    assert kept(log) == [("a", 3)]


def test_the_oldest_events_are_dropped_beyond_the_limit() -> None:
    log = EventLog(most=3)
    for session_id in ("a", "b", "a", "b", "a"):
        log.add(session_id, started("u"))
    assert kept(log) == [("a", 2), ("b", 2), ("a", 3)]
    log.acknowledge("a", 2)
    assert kept(log) == [("b", 2), ("a", 3)]


def test_a_session_that_ended_and_begins_again_counts_anew() -> None:
    log = EventLog()
    log.add("a", started("u"))
    log.add("a", PerformerEnded(reason="ended"))
    log.acknowledge("a", 2)
    assert log.add("a", started("u")).number == 1


def test_whatever_is_acknowledged_in_whatever_order_what_is_kept_is_the_rest() -> None:
    rng = random.Random(5)
    log, rest, counts = EventLog(), [], {"a": 0, "b": 0, "c": 0}
    for _ in range(2000):
        session_id = rng.choice("abc")
        if rng.random() < 0.6:
            counts[session_id] += 1
            rest.append((session_id, log.add(session_id, started("u")).number))
        else:
            number = rng.randint(0, counts[session_id])
            log.acknowledge(session_id, number)
            rest = [one for one in rest if one[0] != session_id or one[1] > number]
        assert kept(log) == rest


def untold(*numbers: int) -> list[Event]:
    return [Event(session_id="a", event=started("u"), number=number) for number in numbers]


def test_events_of_before_this_stage_come_first_until_they_are_acknowledged() -> None:
    log, first = EventLog(), UNTOLD_FROM
    log.add("b", started("u"))
    log.keep_untold("a", untold(first, first + 1, first + 2))
    log.add("a", started("v"))
    assert kept(log) == [("a", first), ("a", first + 1), ("a", first + 2), ("b", 1), ("a", 1)]
    log.acknowledge("a", first + 1)
    log.keep_untold("a", untold(first + 1, first + 2))
    assert kept(log) == [("a", first + 2), ("b", 1), ("a", 1)], "the acknowledgement has come first"
    log.add_untold("a", [started("w")])
    assert kept(log)[:2] == [("a", first + 2), ("a", first + 3)]
    log.acknowledge("a", 1)
    assert kept(log) == [("b", 1)]


def test_a_session_that_has_ended_keeps_nothing_of_before() -> None:
    log = EventLog()
    log.keep_untold("a", untold(UNTOLD_FROM))
    log.add("a", PerformerEnded(reason="ended"))
    log.acknowledge("a", 1)
    assert kept(log) == [] and not log._untold
    log.add_untold("a", [started("w")])
    assert kept(log) == [("a", UNTOLD_FROM)]
    log.forget_untold("a")
    assert kept(log) == []
