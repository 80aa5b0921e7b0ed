"""Sound carries redundancy while viewers lose packets."""

from __future__ import annotations

from visavis.stage.sound_redundancy import LESS_AFTER, MORE_AFTER, SoundRedundancy


def test_a_loss_that_lasts_is_answered_and_a_single_one_is_not() -> None:
    sound = SoundRedundancy()
    assert [sound.report([0.0, 0.08]) for _ in range(MORE_AFTER)] == [0] * (MORE_AFTER - 1) + [10]
    assert [sound.report([0.2]) for _ in range(MORE_AFTER)] == [10] * (MORE_AFTER - 1) + [25]
    other = SoundRedundancy()
    assert {other.report([share]) for share in (0.3, 0.0) * 50} == {0}


def test_redundancy_goes_when_nobody_has_lost_anything_for_a_while() -> None:
    sound = SoundRedundancy()
    for _ in range(MORE_AFTER):
        sound.report([0.05])
    assert [sound.report([]) for _ in range(LESS_AFTER)] == [10] * (LESS_AFTER - 1) + [0]
