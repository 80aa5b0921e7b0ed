"""The complete transition table."""

from __future__ import annotations

import pytest

from visavis.errors import SessionEnded, SessionNotStarted
from visavis.sessions.lifecycle import Status, Transition, next_status


def test_a_session_is_created_started_and_ended() -> None:
    assert next_status(Status.CREATED, Transition.START) is Status.STARTED
    assert next_status(Status.STARTED, Transition.END) is Status.ENDED
    assert next_status(Status.CREATED, Transition.ABANDON) is Status.ENDED


@pytest.mark.parametrize("transition", list(Transition))
def test_an_ended_session_has_no_transition(transition: Transition) -> None:
    with pytest.raises(SessionEnded):
        next_status(Status.ENDED, transition)


def test_a_created_session_cannot_end() -> None:
    with pytest.raises(SessionNotStarted):
        next_status(Status.CREATED, Transition.END)
