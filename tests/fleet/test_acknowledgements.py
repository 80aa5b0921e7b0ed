"""What a server acknowledges of the events of a session."""

from __future__ import annotations

from visavis.fleet.acknowledgements import Acknowledgements
from visavis.stage.port.events import PlaybackStarted


def started() -> PlaybackStarted:
    return PlaybackStarted(utterance_id="the same for all")


def test_an_acknowledgement_covers_no_event_that_is_not_done_with() -> None:
    events = [started() for _ in range(4)]
    one, two, three, four = events
    acknowledgements = Acknowledgements()
    for number, event in enumerate(events, start=1):
        acknowledgements.took(event, number)
    assert acknowledgements.done(two) is None
    assert acknowledgements.done(one) == 2
    assert acknowledgements.done(one) is None, "a second time"
    assert acknowledgements.done(four) is None
    assert acknowledgements.done(three) == 4


def test_an_event_without_a_number_is_never_acknowledged() -> None:
    event, acknowledgements = started(), Acknowledgements()
    acknowledgements.took(event, 0)
    assert acknowledgements.done(event) is None


def test_events_that_were_sent_again_begin_where_the_earlier_server_ended() -> None:
    seven, eight = started(), started()
    acknowledgements = Acknowledgements()
    acknowledgements.took(seven, 7)
    assert acknowledgements.done(seven) == 7
    acknowledgements.took(eight, 8)
    assert acknowledgements.done(eight) == 8
