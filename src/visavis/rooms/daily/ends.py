"""What Daily says when it does not admit the avatar, or when a room is over. Pure.

daily-python tells errors as text alone. The words are those of Daily's own clients (daily-js, `error.type` and
`errorMsg`); a text that none of them is in is told as it is.
"""

from __future__ import annotations

import re

from visavis.errors import RoomRefused, RoomUnreachable, VisavisError
from visavis.rooms.spec import RoomEnd

_UNREACHABLE = re.compile(r"connection|network|timed? ?out|timeout|unreachable|dns|resolve|websocket", re.I)
_FULL = re.compile(r"meeting-full|\bfull\b", re.I)
_GONE = re.compile(r"no-room|does not exist|not found|meeting has ended|exp-room|room.{0,20}expired|deleted", re.I)
_TOKEN = re.compile(r"exp-token|not-allowed|nbf-|token|not allowed|unauthori[sz]ed|permission", re.I)
_REMOVED = re.compile(r"eject|removed|kicked", re.I)
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]+")
MOST_SAID_CHARS = 200


def join_error(said: str) -> VisavisError:
    """Return the error of a join that has failed."""
    said = _UNPRINTABLE.sub(" ", said[:MOST_SAID_CHARS]).strip()
    if _FULL.search(said):
        return RoomRefused(f"The Daily room is full: {said}")
    if _GONE.search(said):
        return RoomRefused(f"The Daily room is gone: {said}")
    if _TOKEN.search(said):
        return RoomRefused(f"Daily does not admit the token: {said}")
    if _UNREACHABLE.search(said):
        return RoomUnreachable(f"Daily cannot be reached: {said}")
    return RoomRefused(f"Daily does not admit the avatar: {said}")


def room_end(said: str) -> RoomEnd:
    """Return how a room is over in which the avatar was."""
    if _GONE.search(said):
        return "room_deleted"
    if _REMOVED.search(said):
        return "avatar_removed"
    return "room_lost"
