"""What webhooks are told of a session while it runs. The news go to the feed, which writes them; no caller waits.

An event of the stage is acknowledged when whoever needs it has it: the client has an event of playback, the database
has the news. Otherwise the stage gives it to the next server, if this one dies.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace

from visavis.stage.port.events import (
    FirstFrameSent,
    PerformanceMoved,
    PerformerEvent,
    PlaybackFinished,
    PlaybackStarted,
    ViewerJoined,
    ViewerLeft,
)
from visavis.store.news import News, NewsType, Viewers, news_of, viewer_joined, viewer_left
from visavis.store.records import SessionRecord
from visavis.timestamps import format_time, format_time_or_none
from visavis.webhooks.feed import Feed

CLIENT, WEBHOOKS = "client", "webhooks"  # who needs an event


@dataclass(slots=True)
class _Needed:
    event: PerformerEvent
    by: set[str]


class LiveNews:
    """The news of one session. `acknowledge`, `told`: tell its stage that an event is done with, or that the client has
    it while others still need it.
    """

    def __init__(
        self,
        record: SessionRecord,
        feed: Feed,
        *,
        now_ms: Callable[[], int],
        acknowledge: Callable[[PerformerEvent], None],
        told: Callable[[PerformerEvent], None],
    ) -> None:
        self._record, self._feed = record, feed
        self._now_ms, self._acknowledge, self._told = now_ms, acknowledge, told
        self._needed: dict[int, _Needed] = {}  # by the identity of the event
        self._adopted = False  # an earlier server has begun the session
        self._started: set[str] = set()  # of an adopted session: the utterances that have begun to play since

    def taken(self, event: PerformerEvent, *, by: str) -> None:
        """Somebody who needs an event has it. Acknowledges it when everybody has."""
        needed = self._needed.get(id(event))
        if needed is not None:
            needed.by.discard(by)
            if needed.by:
                if by == CLIENT:
                    self._told(event)
                return
            del self._needed[id(event)]
        self._acknowledge(event)

    def heard(self, event: PerformerEvent, *, client_needs: bool) -> None:
        """Take an event of the performance. `client_needs`: the client must get it, too."""
        needs = {CLIENT} if client_needs else set()
        news = self._news_of(event)
        if news is not None:
            needs.add(WEBHOOKS)
        if not needs:
            self._acknowledge(event)
            return
        self._needed[id(event)] = _Needed(event=event, by=needs)
        if news is not None:
            self._feed.tell(news, written=lambda: self.taken(event, by=WEBHOOKS))

    def utterance_given_up(self, event: PlaybackFinished) -> None:
        """An utterance has ended with its stage, which cannot tell it any more."""
        self._feed.tell(self._finished(event))

    def adopted(self, viewers: tuple[str, ...]) -> None:
        """This server goes on with the session, which these viewers watch."""
        self._adopted = True
        self._feed.tell(Viewers(session=self._record, viewer_ids=viewers, at_ms=self._now_ms()))

    def expiring(self, seconds_left: int, *, warning: str | None) -> None:
        """`warning`: one that is told once, whichever server comes to it."""
        expiration = format_time_or_none(self._record.expiration_ms)
        kind, said = NewsType.SESSION_EXPIRING, {"seconds_left": seconds_left, "expiration": expiration}
        self._feed.tell(news_of(self._record, kind, self._now_ms(), key=warning, **said))

    def over(self) -> None:
        """The performance has ended: there are no more news."""
        self._feed.session_over(self._record.id)

    def _news_of(self, event: PerformerEvent) -> News | Viewers | None:
        now, record = self._now_ms(), self._record
        match event:
            case FirstFrameSent():
                at = format_time(now)
                return news_of(record, NewsType.FIRST_FRAME, now, key="first frame", first_frame_at=at)
            case ViewerJoined():
                return viewer_joined(record, event.viewer_id, viewers=event.viewers, at_ms=now)
            case ViewerLeft():
                return viewer_left(record, event.viewer_id, viewers=event.viewers, at_ms=now)
            case PerformanceMoved():  # no viewer came along
                return Viewers(session=record, viewer_ids=(), at_ms=now)
            case PlaybackStarted() if self._adopted:
                self._started.add(event.utterance_id)
            case PlaybackFinished():
                return self._finished(event)
        return None

    def _finished(self, event: PlaybackFinished) -> News:
        """An id may name a second utterance later. What the stage of an adopted session tells may have been told to the
        server before; it was, if it says the same and no utterance of this id has begun since.
        """
        news = news_of(
            self._record,
            NewsType.UTTERANCE_FINISHED,
            self._now_ms(),
            key="utterance " + hashlib.sha256(event.utterance_id.encode()).hexdigest()[:32],
            utterance_id=event.utterance_id,
            played_s=event.position_s,
            interrupted=event.interrupted,
        )
        told_before = self._adopted and event.utterance_id not in self._started
        self._started.discard(event.utterance_id)
        return replace(news, again="unlike_last" if told_before else "always")
