"""The displacement fields of moods: what an emotion does to the mouth, in eye distances.

Both lips move as one, without a jump at the seam, so a mood cannot open a closure (docs/decisions/0011). The strengths
were set by eye on rendered faces; they hold for a coefficient of 1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visavis.engine.landmarks import FaceGeometry, gaussian, smoothstep
from visavis.engine.render.field_weights import RELAXED
from visavis.engine.render.mouth_fields import MouthFields

Array = NDArray[np.float32]

# Lengths in eye distances.
SMILE_FULL = 0.06  # how high the corners stand above the middle of the seam in a broad smile
# moodSmile
SMILE_OUT, SMILE_UP = 0.075, -0.068  # the corners
SMILE_LOWERS_MIDDLE = 0.008
SMILE_THINS_UPPER, SMILE_THINS_LOWER = 0.16, 0.12  # share of the height of each lip
# A smiling photo gets up to this much less of a smile; full when its corners stand SMILED_ALREADY above the middle.
LESS_SMILE, SMILED_ALREADY = 0.55, 0.09
# mouthFrown and mouthShrugLower
FROWN_OUT, FROWN_DOWN = 0.012, 0.05
FROWN_LESS_AFTER_SMILE = 0.015  # a smiling photo needs less: RELAXED lowers its corners as well
FROWN_RAISES_MIDDLE = 0.012
SHRUG_UP = 0.04
# RELAXED, for a photo with a broad smile
RELAX_IN, RELAX_LEVELS, RELAX_THICKENS = 0.035, 0.75, 0.5
# How far the fields reach.
CHEEK_REACH = 0.25  # standard deviation beyond the corners
REACH_UP, REACH_DOWN = 0.24, 0.26  # standard deviations above and below the corners
BESIDE_NOSE, BESIDE_NOSE_FADE = 0.22, 0.3  # fades in from this far above the base of the nose
LIP_TO_NOSE_LEAST = 0.1
ABOVE_CHIN, ABOVE_CHIN_FADE = 0.14, 0.22  # the raised lower lip fades out around the chin
MIDDLE_WIDTH = 0.24  # standard deviation of what moves only the middle of the mouth


def mood_fields(face: FaceGeometry, mouth: MouthFields) -> dict[str, Array]:
    """Return the field of every mood coefficient of the mouth, and of RELAXED, (ny, nx, 2) each."""
    x, y, e, t = mouth.x, mouth.y, mouth.e, mouth.t
    inside = np.clip(np.abs(t), 0, 1)
    corner_y = float(face.corner_left[1] + face.corner_right[1]) / 2
    over_cheek = gaussian(mouth.outside / CHEEK_REACH)
    # Polynomials that are 0 in the middle, and 1 and level at the corners, so that no field has a kink.
    lift = np.where(inside < 1, inside**3 * (4 - 3 * inside), over_cheek)
    draw = np.sign(t) * np.where(inside < 1, inside * (1.5 - 0.5 * inside * inside), over_cheek)
    d = (y - corner_y) / e
    height = gaussian(d / np.where(d < 0, REACH_UP, REACH_DOWN)) * smoothstep(
        (y - face.nose_base_y + BESIDE_NOSE * e) / (BESIDE_NOSE_FADE * e)
    )
    to_nose = np.maximum(mouth.seam - face.nose_base_y, LIP_TO_NOSE_LEAST * e)
    low = np.minimum(smoothstep((y - face.nose_base_y) / to_nose), 1.0)
    under = 1.0 - smoothstep((y - face.chin[1] + ABOVE_CHIN * e) / (ABOVE_CHIN_FADE * e))
    centre = gaussian((x - face.centre_x) / (MIDDLE_WIDTH * e))
    thin = mouth.thinned(y, mouth.lip_up, SMILE_THINS_UPPER, 1.0) * (y < mouth.seam) - mouth.thinned(
        y, mouth.lip_low, SMILE_THINS_LOWER, 1.0
    ) * (y >= mouth.seam)
    smiled = float(mouth.bend.max())
    more = 1.0 - LESS_SMILE * float(smoothstep(np.array(np.float32(smiled / SMILED_ALREADY), np.float64)))
    smile = float(smoothstep(np.array(np.float32(max(0.0, smiled) / SMILE_FULL), np.float64)))
    level = RELAX_LEVELS * np.maximum(mouth.bend, 0.0) * np.where(inside < 1, 1.0, over_cheek) * height
    return {
        RELAXED: mouth.vectors(
            -RELAX_IN * smile * draw * height,
            level - smile * (SMILE_LOWERS_MIDDLE * centre * height + RELAX_THICKENS * thin),
        ),
        "moodSmile": mouth.vectors(
            SMILE_OUT * more * draw * height,
            more * (SMILE_UP * lift * height + SMILE_LOWERS_MIDDLE * centre * height + thin),
        ),
        "mouthFrown": mouth.vectors(
            FROWN_OUT * draw * height,
            (FROWN_DOWN - FROWN_LESS_AFTER_SMILE * smile) * lift * height - FROWN_RAISES_MIDDLE * centre * low * under,
        ),
        "mouthShrugLower": mouth.vectors(np.zeros_like(y), -SHRUG_UP * centre * low * under),
    }
