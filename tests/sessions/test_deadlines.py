"""When a session ends by itself, with times that the test chooses."""

from __future__ import annotations

from visavis.sessions.deadlines import Deadlines, GracePeriods
from visavis.sessions.lifecycle import EndReason

GRACE_PERIODS = GracePeriods(join_timeout_s=120, room_empty_grace_s=15, channel_grace_s=10)


def deadlines(*, expires_at_s: float | None = None) -> Deadlines:
    return Deadlines(GRACE_PERIODS, now_s=0, expires_at_s=expires_at_s)


def test_a_session_that_nobody_joins_ends_after_the_join_timeout() -> None:
    limits = deadlines()
    assert limits.due(now_s=119.9) is None
    assert limits.next_deadline_s() == 120
    assert limits.due(now_s=120) is EndReason.NOBODY_JOINED


def test_a_watched_session_has_no_deadline() -> None:
    limits = deadlines()
    limits.viewers_changed(1, now_s=5)
    assert limits.next_deadline_s() is None
    assert limits.due(now_s=1e9) is None


def test_an_empty_room_ends_the_session_after_its_grace_period() -> None:
    limits = deadlines()
    limits.viewers_changed(1, now_s=5)
    limits.viewers_changed(0, now_s=50)
    assert limits.due(now_s=64.9) is None
    assert limits.due(now_s=65) is EndReason.ROOM_EMPTY


def test_a_viewer_who_returns_within_the_grace_period_keeps_the_session() -> None:
    limits = deadlines()
    limits.viewers_changed(1, now_s=5)
    limits.viewers_changed(0, now_s=50)
    limits.viewers_changed(1, now_s=60)
    assert limits.due(now_s=1000) is None


def test_a_session_goes_on_when_one_of_two_viewers_leaves() -> None:
    limits = deadlines()
    limits.viewers_changed(2, now_s=5)
    limits.viewers_changed(1, now_s=6)
    assert limits.due(now_s=1000) is None


def test_a_watched_session_ends_when_its_channel_does_not_return() -> None:
    limits = deadlines()
    limits.viewers_changed(1, now_s=1)
    limits.channel_opened()
    assert limits.due(now_s=1000) is None
    limits.channel_closed(now_s=1000)
    assert limits.due(now_s=1009.9) is None
    assert limits.due(now_s=1010) is EndReason.CHANNEL_LOST


def test_a_channel_that_returns_keeps_the_session() -> None:
    limits = deadlines()
    limits.viewers_changed(1, now_s=1)
    limits.channel_opened()
    limits.channel_closed(now_s=2)
    limits.channel_opened()
    assert limits.due(now_s=1000) is None


def test_a_session_expires_even_with_viewers_and_a_channel() -> None:
    limits = deadlines(expires_at_s=60)
    limits.viewers_changed(1, now_s=1)
    limits.channel_opened()
    assert limits.due(now_s=59.9) is None
    assert limits.due(now_s=60) is EndReason.EXPIRED


def test_the_deadline_that_passed_first_gives_the_reason() -> None:
    limits = deadlines(expires_at_s=60)
    assert limits.due(now_s=500) is EndReason.EXPIRED


def test_a_session_warns_twice_before_it_expires() -> None:
    limits = deadlines(expires_at_s=100)
    assert limits.next_deadline_s() == 40
    assert limits.take_warning(now_s=39.9) is None
    assert limits.take_warning(now_s=40) == 60
    assert limits.take_warning(now_s=40) is None
    assert limits.next_deadline_s() == 90
    assert limits.take_warning(now_s=90.2) == 10
    assert limits.take_warning(now_s=99) is None
    assert limits.next_deadline_s() == 100


def test_warnings_that_were_slept_through_are_one() -> None:
    limits = deadlines(expires_at_s=100)
    assert limits.take_warning(now_s=95) == 5
    assert limits.take_warning(now_s=95) is None


def test_a_new_channel_is_warned_in_the_last_minute() -> None:
    limits = deadlines(expires_at_s=100)
    assert limits.warning_for_new_channel(now_s=39) is None
    assert limits.warning_for_new_channel(now_s=40) == 60
    assert limits.warning_for_new_channel(now_s=70.4) == 30
    assert deadlines().warning_for_new_channel(now_s=1e9) is None
    assert deadlines().take_warning(now_s=1e9) is None
