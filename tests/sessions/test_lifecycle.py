"""The transition table, whole."""

from __future__ import annotations

import pytest

from visavis.errors import SessionEnded, SessionNotStarted
from visavis.sessions.lifecycle import Act, Status, move


def test_a_session_is_created_started_and_ended() -> None:
    assert move(Status.CREATED, Act.START) is Status.STARTED
    assert move(Status.STARTED, Act.END) is Status.ENDED
    assert move(Status.CREATED, Act.ABANDON) is Status.ENDED


@pytest.mark.parametrize("act", list(Act))
def test_nothing_happens_to_an_ended_session(act: Act) -> None:
    with pytest.raises(SessionEnded):
        move(Status.ENDED, act)


def test_a_created_session_cannot_end() -> None:
    with pytest.raises(SessionNotStarted):
        move(Status.CREATED, Act.END)
