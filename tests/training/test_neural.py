"""What of neural voices is taken into the corpus."""

from __future__ import annotations

import numpy as np

from training.neural import best_fitting
from training.voices import Spoken


def test_the_worst_fitting_are_left_out_of_english_and_of_other_voices_by_themselves() -> None:
    """Other languages are aligned by English phones and fit worse throughout: by one measure they would all be left
    out.
    """
    spoken = Spoken(pcm=np.zeros(16, np.int16), segments=[])
    said = [("kokoro:af_heart", -10.0 - k / 100, spoken) for k in range(50)]
    said += [("kokoro:bm_george+", -10.0 - k / 100, spoken) for k in range(50)]
    said += [("kokoro:zf_xiaobei", -30.0 - k / 100, spoken) for k in range(50)]
    kept = {voice: len(all_said) for voice, all_said in best_fitting(said).items()}
    assert set(kept) == {"kokoro:af_heart", "kokoro:bm_george+", "kokoro:zf_xiaobei"}
    assert kept["kokoro:af_heart"] == kept["kokoro:bm_george+"] == 46 and kept["kokoro:zf_xiaobei"] == 46


def test_nothing_said_is_nothing_kept() -> None:
    assert best_fitting([]) == {}
