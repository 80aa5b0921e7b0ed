"""The bit rate follows what viewers report, down to a floor."""

from __future__ import annotations

import random

from visavis.rooms.bit_rate import (
    EARLY_REPORTS,
    HOLDS_AFTER,
    LOWER_AFTER,
    MAX_RAISE_AFTER,
    RAISE_AFTER,
    SHARES,
    START_REPORTS,
    STRUGGLES_AFTER,
    ViewerBitRate,
    share_for,
)


def shares(viewer: ViewerBitRate, reports: int, *, lost_share: float = 0.0, round_trip_ms: float = 40.0) -> list[float]:
    """Return the share after each of so many equal reports."""
    seen = []
    for _ in range(reports):
        viewer.report(round_trip_ms=round_trip_ms, lost_share=lost_share)
        seen.append(viewer.share)
    return seen


def test_a_good_network_and_one_that_loses_some_packets_get_the_full_rate() -> None:
    for lost_share in (0.0, 0.05, 0.1):
        assert set(shares(ViewerBitRate(), 300, lost_share=lost_share)) == {1.0}


def test_heavy_loss_lowers_the_rate_step_by_step_to_the_floor() -> None:
    seen = shares(ViewerBitRate(), (len(SHARES) - 1) * LOWER_AFTER, lost_share=0.2)
    assert list(dict.fromkeys(seen)) == list(SHARES)
    assert seen[LOWER_AFTER - 2 :][:2] == [1.0, SHARES[1]]


def test_a_network_that_takes_two_fifths_gets_them_at_once() -> None:
    seen = shares(ViewerBitRate(), LOWER_AFTER, lost_share=0.6)
    assert seen == [1.0] * (LOWER_AFTER - 1) + [0.35]


def test_one_report_of_heavy_loss_lowers_nothing_and_the_lighter_one_decides() -> None:
    viewer = ViewerBitRate()
    assert shares(viewer, 1, lost_share=0.9) == [1.0]
    assert shares(viewer, LOWER_AFTER - 1, lost_share=0.2)[-1] == 0.7


def test_a_queue_in_the_network_lowers_the_rate_before_anything_is_lost() -> None:
    viewer = ViewerBitRate()
    shares(viewer, 5)
    assert shares(viewer, 8, round_trip_ms=900.0)[-1] < 1.0


def test_a_long_queue_lowers_the_rate_by_half() -> None:
    viewer = ViewerBitRate()
    shares(viewer, 5)
    assert shares(viewer, LOWER_AFTER, round_trip_ms=900.0)[-1] == 0.5


def test_a_long_round_trip_is_no_queue_and_neither_is_jitter() -> None:
    assert set(shares(ViewerBitRate(), 100, round_trip_ms=600.0)) == {1.0}
    viewer = ViewerBitRate()
    for number in range(200):
        viewer.report(round_trip_ms=(30.0, 390.0, 210.0, 120.0)[number % 4], lost_share=0.05)
    assert viewer.share == 1.0


def test_a_way_that_becomes_longer_in_the_middle_is_no_queue_for_ever() -> None:
    """By another network or a relay: a lower bit rate changes nothing, and nothing is lost."""
    for longer_ms in (240.0, 300.0, 600.0, 1000.0):
        viewer = ViewerBitRate(starts_low=True)
        for round_trip_ms in [30.0] * 60 + [30.0 + longer_ms] * 300:
            viewer.report(round_trip_ms=round_trip_ms, lost_share=0.0, checked_ms=30.0)
        assert viewer.share == 1.0 and not viewer.struggles, longer_ms


def test_a_fall_by_several_levels_counts_as_one_raise_that_did_not_hold() -> None:
    viewer = ViewerBitRate()
    shares(viewer, (len(SHARES) - 1) * LOWER_AFTER, lost_share=0.2)
    seen = shares(viewer, 2 * RAISE_AFTER * (len(SHARES) - 1))
    assert (seen[0], seen[-1]) == (SHARES[-1], 1.0)


def test_the_rate_comes_back_slowly_and_more_slowly_each_time_it_does_not_hold() -> None:
    viewer = ViewerBitRate()
    waits = []
    for _ in range(8):
        shares(viewer, LOWER_AFTER, lost_share=0.3)
        waits.append(shares(viewer, 2 * MAX_RAISE_AFTER).index(1.0) + 1)
        viewer_share = viewer.share
        assert viewer_share == 1.0
    assert waits[0] == 2 * RAISE_AFTER and waits == sorted(waits) and waits[-1] == MAX_RAISE_AFTER


def test_a_viewer_that_cannot_be_helped_does_not_decide_for_others() -> None:
    good, lost = ViewerBitRate(), ViewerBitRate()
    shares(good, 30)
    shares(lost, 4 * LOWER_AFTER, lost_share=0.4)
    assert share_for([good, lost]) == SHARES[-1] and not lost.struggles
    shares(lost, STRUGGLES_AFTER, lost_share=0.4)
    assert lost.struggles and share_for([good, lost]) == 1.0
    assert share_for([lost]) == SHARES[-1], "nobody else would have more of the full rate"
    shares(lost, MAX_RAISE_AFTER)
    assert not lost.struggles
    assert share_for([good]) == 1.0


def test_the_first_viewer_begins_with_half_of_the_rate_and_gets_the_rest_after_good_reports() -> None:
    viewer = ViewerBitRate(starts_low=True)
    assert share_for([]) == viewer.share == 0.5, "nothing changes when it joins"
    for _ in range(10):
        viewer.report(round_trip_ms=None, lost_share=0.0)
    assert viewer.share == 0.5, "it has not reported yet"
    assert shares(viewer, START_REPORTS + 100) == [0.5] * (START_REPORTS - 1) + [1.0] * 101
    assert shares(ViewerBitRate(starts_low=True), START_REPORTS, lost_share=0.1)[-1] == 1.0, "lossy, but wide"


def test_a_viewer_whose_network_the_full_rate_overflows_goes_back_to_what_it_held() -> None:
    viewer = ViewerBitRate(starts_low=True)
    assert shares(viewer, START_REPORTS)[-1] == 1.0
    assert shares(viewer, LOWER_AFTER, lost_share=0.2)[-1] == 0.5, "not to 0.7, which loss alone tells"
    assert set(shares(viewer, RAISE_AFTER)) == {0.5}, "and the next try comes later"
    viewer = ViewerBitRate(starts_low=True)
    shares(viewer, START_REPORTS)
    for _ in range(EARLY_REPORTS):
        viewer.report(round_trip_ms=40.0, lost_share=0.0, checked_ms=40.0)
    viewer.report(round_trip_ms=900.0, lost_share=0.0, checked_ms=40.0)
    assert viewer.share == 0.5, "a single report of a long queue, as long as the full rate has not held"
    viewer = ViewerBitRate(starts_low=True)
    shares(viewer, START_REPORTS + HOLDS_AFTER + 1)
    assert shares(viewer, LOWER_AFTER, lost_share=0.2)[-1] == 0.7, "the full rate had held"


def test_a_queue_that_grows_from_the_start_keeps_the_full_rate_away() -> None:
    """The first reports behind 300 kbit/s, as they came. Before, the third one brought the full rate."""
    viewer = ViewerBitRate(starts_low=True)
    seen = []
    for round_trip_ms in (181.5, 285.5, 356.7, 418.8, 419.3):
        viewer.report(round_trip_ms=round_trip_ms, lost_share=0.0, checked_ms=45.0)
        seen.append(viewer.share)
    assert max(seen) == 0.5 and seen[-1] == 0.35


def test_jitter_from_the_start_is_no_queue() -> None:
    for seed in range(20):
        source = random.Random(seed)
        checked_ms, *rest = (sum(source.uniform(0.0, 100.0) for _ in range(2)) for _ in range(120))  # there and back
        viewer = ViewerBitRate(starts_low=True)
        for round_trip_ms in rest:
            viewer.report(round_trip_ms=round_trip_ms, lost_share=0.05, checked_ms=checked_ms)
        assert viewer.share == 1.0, seed


def test_one_early_report_of_a_long_queue_lowers_the_rate() -> None:
    for starts_low, expected in ((True, 0.25), (False, 0.5)):
        viewer = ViewerBitRate(starts_low=starts_low)
        viewer.report(round_trip_ms=700.0, lost_share=0.0, checked_ms=40.0)
        assert viewer.share == expected
    far = ViewerBitRate()
    for _ in range(20):
        far.report(round_trip_ms=700.0, lost_share=0.0, checked_ms=560.0)
    assert far.share == 1.0, "a long round trip is no queue"
    late = ViewerBitRate()
    for number in range(EARLY_REPORTS + 1):
        late.report(round_trip_ms=40.0 if number < EARLY_REPORTS else 700.0, lost_share=0.0, checked_ms=40.0)
    assert late.share == 1.0, "later, two reports decide"
