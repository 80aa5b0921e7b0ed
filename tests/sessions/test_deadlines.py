"""When a session ends by itself, on a clock that the test turns."""

from __future__ import annotations

from visavis.sessions.deadlines import Deadlines, GracePeriods
from visavis.sessions.lifecycle import EndReason

PATIENCE = GracePeriods(join_timeout_s=120, room_empty_grace_s=15, channel_grace_s=10)


def deadlines(*, expires_at_s: float | None = None) -> Deadlines:
    return Deadlines(PATIENCE, now_s=0, expires_at_s=expires_at_s)


def test_nobody_ever_joined() -> None:
    watch = deadlines()
    assert watch.due(now_s=119.9) is None
    assert watch.next_deadline_s() == 120
    assert watch.due(now_s=120) is EndReason.NOBODY_JOINED


def test_a_watched_session_has_no_deadline() -> None:
    watch = deadlines()
    watch.viewers_changed(1, now_s=5)
    assert watch.next_deadline_s() is None
    assert watch.due(now_s=1e9) is None


def test_the_room_emptied_for_longer_than_its_grace() -> None:
    watch = deadlines()
    watch.viewers_changed(1, now_s=5)
    watch.viewers_changed(0, now_s=50)
    assert watch.due(now_s=64.9) is None
    assert watch.due(now_s=65) is EndReason.ROOM_EMPTY


def test_a_viewer_who_comes_back_within_the_grace_saves_the_session() -> None:
    watch = deadlines()
    watch.viewers_changed(1, now_s=5)
    watch.viewers_changed(0, now_s=50)
    watch.viewers_changed(1, now_s=60)
    assert watch.due(now_s=1000) is None


def test_one_of_two_viewers_leaving_is_nothing() -> None:
    watch = deadlines()
    watch.viewers_changed(2, now_s=5)
    watch.viewers_changed(1, now_s=6)
    assert watch.due(now_s=1000) is None


def test_a_channel_that_stays_away_ends_a_watched_session() -> None:
    watch = deadlines()
    watch.viewers_changed(1, now_s=1)
    watch.channel_opened()
    assert watch.due(now_s=1000) is None
    watch.channel_closed(now_s=1000)
    assert watch.due(now_s=1009.9) is None
    assert watch.due(now_s=1010) is EndReason.CHANNEL_LOST


def test_a_channel_that_comes_back_saves_the_session() -> None:
    watch = deadlines()
    watch.viewers_changed(1, now_s=1)
    watch.channel_opened()
    watch.channel_closed(now_s=2)
    watch.channel_opened()
    assert watch.due(now_s=1000) is None


def test_expiration_comes_whoever_is_there() -> None:
    watch = deadlines(expires_at_s=60)
    watch.viewers_changed(1, now_s=1)
    watch.channel_opened()
    assert watch.due(now_s=59.9) is None
    assert watch.due(now_s=60) is EndReason.EXPIRED


def test_of_several_reasons_the_earliest_is_the_one() -> None:
    watch = deadlines(expires_at_s=60)
    assert watch.due(now_s=500) is EndReason.EXPIRED
