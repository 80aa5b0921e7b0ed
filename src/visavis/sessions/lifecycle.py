"""The status of a session: created -> started -> ended. Pure; the store changes the status by compare-and-set."""

from __future__ import annotations

from enum import StrEnum

from visavis.errors import SessionEnded, SessionNotStarted


class Status(StrEnum):
    CREATED = "created"
    STARTED = "started"
    ENDED = "ended"


class Transition(StrEnum):
    START = "start"
    END = "end"
    ABANDON = "abandon"  # a created session that nobody has started


class EndReason(StrEnum):
    """Why a session ended; exactly one is recorded."""

    CLIENT = "ended_by_client"
    OPERATOR = "ended_by_operator"
    ROOM_EMPTY = "room_empty"
    NOBODY_JOINED = "nobody_joined"
    EXPIRED = "expired"
    CHANNEL_LOST = "channel_lost"
    KEY_REVOKED = "key_revoked"
    AGENT_LEFT = "agent_left"
    AVATAR_REMOVED = "avatar_removed"
    ROOM_DELETED = "room_deleted"
    ROOM_LOST = "room_lost"
    PERFORMER_LOST = "performer_lost"
    SERVER_STOPPED = "server_stopped"
    SERVER_DIED = "server_died"
    NEVER_STARTED = "never_started"


_NEXT_STATUS: dict[tuple[Status, Transition], Status] = {
    (Status.CREATED, Transition.START): Status.STARTED,
    (Status.STARTED, Transition.END): Status.ENDED,
    (Status.CREATED, Transition.ABANDON): Status.ENDED,
}


def next_status(status: Status, transition: Transition) -> Status:
    """Return the status after the transition.

    Raises `SessionEnded` for any transition of an ended session, and `SessionNotStarted` for ending a created one. The
    caller has already answered a second start and a second end, which are safe to repeat.
    """
    try:
        return _NEXT_STATUS[status, transition]
    except KeyError:
        if status is Status.ENDED:
            raise SessionEnded(suggestion="Create a new session") from None
        if status is Status.CREATED:
            raise SessionNotStarted("Session has not been started", suggestion="Start the session first") from None
        raise AssertionError(f"{transition} of a {status} session") from None
