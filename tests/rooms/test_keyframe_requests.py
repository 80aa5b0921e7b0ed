"""A flood of requests for keyframes is answered at the pace of a limit."""

from __future__ import annotations

from visavis.rooms.keyframe_requests import AT_ONCE, EVERY_S, KeyframeRequests


def test_a_flood_gets_a_few_keyframes_and_then_one_a_second() -> None:
    requests = KeyframeRequests()
    answered = sum(requests.wait_s(100 + number / 1000) == 0 for number in range(10_000))
    assert answered == AT_ONCE + 9


def test_a_refused_request_says_when_it_can_be_answered() -> None:
    requests = KeyframeRequests()
    while (wait_s := requests.wait_s(50.25)) == 0:
        pass
    assert wait_s == EVERY_S
    assert requests.wait_s(50.25 + wait_s) == 0


def test_a_viewer_that_loses_packets_now_and_then_never_waits() -> None:
    requests = KeyframeRequests()
    assert {requests.wait_s(2.0 * number) for number in range(100)} == {0.0}
