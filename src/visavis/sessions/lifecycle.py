"""The life of a session: created -> started -> ended. Pure; the store carries it out by compare-and-set."""

from __future__ import annotations

from enum import StrEnum

from visavis.errors import SessionEnded, SessionNotStarted


class Status(StrEnum):
    CREATED = "created"
    STARTED = "started"
    ENDED = "ended"


class Act(StrEnum):
    START = "start"
    END = "end"
    ABANDON = "abandon"  # nobody ever started it


class EndReason(StrEnum):
    """Why a session ended; exactly one is recorded."""

    CLIENT = "ended_by_client"
    ROOM_EMPTY = "room_empty"
    NOBODY_JOINED = "nobody_joined"
    EXPIRED = "expired"
    CHANNEL_LOST = "channel_lost"
    PERFORMER_LOST = "performer_lost"
    SERVER_STOPPED = "server_stopped"
    SERVER_DIED = "server_died"
    NEVER_STARTED = "never_started"


_MOVES: dict[tuple[Status, Act], Status] = {
    (Status.CREATED, Act.START): Status.STARTED,
    (Status.STARTED, Act.END): Status.ENDED,
    (Status.CREATED, Act.ABANDON): Status.ENDED,
}


def move(status: Status, act: Act) -> Status:
    """Return the status after the act.

    Raises `SessionEnded` for an act on an ended session and `SessionNotStarted` for ending one that was only created.
    Starting a started session and ending an ended one are answered before they get here: both are safe to repeat.
    """
    try:
        return _MOVES[status, act]
    except KeyError:
        if status is Status.ENDED:
            raise SessionEnded(suggestion="Create a new session") from None
        if status is Status.CREATED:
            raise SessionNotStarted("Session has not been started", suggestion="Start the session first") from None
        raise AssertionError(f"{act} of a {status} session") from None
