"""Which sessions may be the cause that stages die, so that they do not take their neighbours along. Pure: times are
seconds of any monotonic clock.

A stage that dies leaves marks of the sessions that it worked for (stage/work_marks.py). Those are suspected; without a
mark all of its sessions are. A session that is suspected twice in a row gets a stage of its own; if that one is lost,
too, the session ends. Its neighbours lose two stages at most.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from typing import Literal

from visavis.engine.pack_ref import PackRef

ALONE_AFTER, OVER_AFTER = 2, 3  # lost stages in a row
# How soon after a session has come to a stage its loss counts as the next one in a row. A program that kills stages
# hits each session by chance, so only short stays count. A stage that breaks at the work for a session is no chance.
SHORT_STAY_S, BROKE_WITHIN_S = 10.0, 600.0
PACK_BROKEN_FOR_S = 600.0  # then an avatar pack at which stages broke is tried again

Verdict = Literal["go on", "alone", "over"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LastWork:
    """What a lost stage did at last. `sessions`: those that it worked for; empty if it rested, or if that is not known.
    `broke`: it crashed or hung by itself; False if it was killed or stopped, and if its connection was lost.
    """

    sessions: frozenset[str] = frozenset()
    broke: bool = False


@dataclass(slots=True)
class _Session:
    came_s: float | None = None  # to its present stage from another one
    losses: int = 0  # in a row, at which it was suspected
    marked: bool = False  # at each of them, its work was marked


class Suspects:
    """The sessions and avatar packs of one fleet. `forget` a session when it is over."""

    def __init__(self) -> None:
        self._sessions: dict[str, _Session] = {}
        self._packs: dict[PackRef, tuple[int, float]] = {}  # how many stages broke while they loaded it; when at last

    def came(self, session_id: str, *, now_s: float) -> None:
        """A session has come to a stage from another one."""
        self._sessions.setdefault(session_id, _Session()).came_s = now_s

    def lost(self, session_ids: Set[str], work: LastWork, *, now_s: float) -> None:
        """A stage with these sessions is lost."""
        marked = bool(work.sessions)
        within_s = BROKE_WITHIN_S if marked and work.broke else SHORT_STAY_S
        for session_id in session_ids & work.sessions if marked else session_ids:
            one = self._sessions.setdefault(session_id, _Session())
            if one.came_s is not None and now_s - one.came_s < within_s:
                one.losses += 1
                one.marked = one.marked and marked
            else:
                one.losses = int(work.broke)
                one.marked = marked

    def verdict(self, session_id: str) -> Verdict:
        """Return what shall become of a session that has lost its stage."""
        losses = self._sessions.get(session_id, _Session()).losses
        return "over" if losses >= OVER_AFTER else "alone" if losses >= ALONE_AFTER else "go on"

    def reason(self, session_id: str) -> str:
        """Return why a session is over, as the rest of a sentence."""
        one = self._sessions.get(session_id, _Session())
        told = "the work for it has broken" if one.marked else "it has lost"
        return f"{told} one stage after the other"

    def forget(self, session_id: str) -> None:
        self._sessions.pop(session_id, None)

    def pack_broke(self, pack: PackRef, *, now_s: float) -> None:
        """A stage broke while it opened a session with this pack."""
        self._packs[pack] = self._packs.get(pack, (0, 0.0))[0] + 1, now_s

    def pack_verdict(self, pack: PackRef, *, now_s: float) -> Verdict:
        """Return how to open a session with this pack."""
        broken, broke_s = self._packs.get(pack, (0, 0.0))
        if now_s - broke_s >= PACK_BROKEN_FOR_S:
            self._packs.pop(pack, None)
            broken = 0
        return "over" if broken >= ALONE_AFTER else "alone" if broken else "go on"

    def pack_opened(self, pack: PackRef) -> None:
        self._packs.pop(pack, None)
