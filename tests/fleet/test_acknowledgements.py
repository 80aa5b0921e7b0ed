"""What a server acknowledges of the events of a session."""

from __future__ import annotations

from visavis.fleet.acknowledgements import Acknowledgements
from visavis.stage.port.events import PerformerEvent, PlaybackStarted, StateChanged
from visavis.stage.port.messages import UNTOLD_FROM


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


def test_what_was_not_told_when_the_session_moved_is_numbered_before_all_events_of_the_next_stage() -> None:
    told, state, one, two, made = started(), StateChanged(state="idle"), started(), started(), started()
    before, events = Acknowledgements(), list[PerformerEvent]((told, state, one, two))
    for number, event in enumerate(events, start=5):
        before.took(event, number)
    before.done(told)
    before.made(made)
    untold = before.untold("s")
    assert [event.event for event in untold] == [one, two, made], "a state is told to each channel anew"
    after = Acknowledgements(untold)
    assert [event.number for event in after.untold("s")] == [UNTOLD_FROM, UNTOLD_FROM + 1, UNTOLD_FROM + 2]
    new = started()
    after.took(new, 1)
    assert after.done(state) is None, "its stage is gone"
    assert after.done(two) is None
    assert after.done(one) == UNTOLD_FROM + 1
    assert after.done(made) == 0 and after.done(new) == 1


def test_an_event_that_is_made_while_a_session_moves_does_not_acknowledge_those_of_the_next_stage() -> None:
    moving, made, theirs = Acknowledgements(()), started(), started()
    moving.made(made)
    moving.took(theirs, 1)
    assert moving.done(made) == 0 and moving.done(theirs) == 1


def test_an_event_of_which_the_client_was_told_says_so_also_where_the_session_goes() -> None:
    one, two, three = started(), started(), started()
    before = Acknowledgements()
    for number, event in enumerate((one, two), start=1):
        before.took(event, number)
    before.took(three, 3, told=True)  # by an earlier server
    assert [before.was_told(event) for event in (one, two, three)] == [False, False, True]
    assert (before.tell(two), before.tell(two), before.tell(three)) == (2, None, None)
    after = Acknowledgements(before.untold("s"))
    assert [after.was_told(event) for event in (one, two, three)] == [False, True, True]
    assert after.acknowledged == UNTOLD_FROM - 1
    assert after.done(one) == UNTOLD_FROM == after.acknowledged
    assert after.tell(one) is None and not after.was_told(one), "nobody is to know it any more"
