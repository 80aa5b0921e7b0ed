"""How long the other end has been silent, with times that the test chooses."""

from __future__ import annotations

from visavis.stage.port.heartbeat import CHECK_EVERY_S, MAX_COUNTED_S, Silence


def test_silence_counts_until_something_is_heard() -> None:
    silence = Silence(now_s=100.0)
    for number in range(1, 21):
        assert silence.check(now_s=100.0 + number * CHECK_EVERY_S) == number * CHECK_EVERY_S
    silence.heard()
    assert silence.silent_s == 0.0
    assert silence.check(now_s=105.25) == CHECK_EVERY_S


def test_time_in_which_this_process_did_not_run_does_not_count() -> None:
    silence = Silence(now_s=0.0)
    silence.check(now_s=0.25)
    assert silence.check(now_s=20.25) == 0.25 + MAX_COUNTED_S, "20 s of suspension count as one late check"
    assert silence.check(now_s=20.5) == 0.5 + MAX_COUNTED_S


def test_a_stage_that_goes_on_later_than_its_server_has_time_to_answer() -> None:
    silence = Silence(now_s=0.0)
    silence.check(now_s=20.0)
    for number in range(1, 13):  # three seconds
        assert silence.check(now_s=20.0 + number * CHECK_EVERY_S) < 5.0
