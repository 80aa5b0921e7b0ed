"""How a face moves: one smooth displacement field for each name in FIELD_NAMES, evaluated on a coarse grid of nodes.

The picture is cut along the seam of the lips into two layers. `upper` is the displacement of the upper layer at every
node. `jump` is what must be added to it for the lower layer; it is 0 except below the seam and between the corners of
the mouth, so both layers agree everywhere else.

The field modules return displacements in eye distances; this module turns them into px.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visavis.engine import native
from visavis.engine.landmarks import FaceGeometry, smoothstep
from visavis.engine.render.face_fields import brow_cheek_and_breath_fields, head_fields
from visavis.engine.render.field_weights import FIELD_INDEX, FIELD_NAMES
from visavis.engine.render.mood_fields import mood_fields
from visavis.engine.render.mouth_fields import FieldAtHeight, MouthFields

Array = NDArray[np.float32]

# Lengths in eye distances.
# Nothing moves further than this from the middle of the face: arms stay still while the chest breathes. Motion begins
# to fade FADE_BEGINS before it and has faded FADE_WIDTH later. The upper arm hangs at about 2.5 (surroundings.py).
MOVED_WIDTH = 2.6
FADE_BEGINS, FADE_WIDTH = 0.8, 0.75
# The cut between the layers reaches as deep as lips can open (jawOpen 1: 0.455); below CUT_DEPTH the jump fades away.
CUT_DEPTH, CUT_FADE = 0.5, 0.35


def weighted_sum(weights: Array, rows: Array) -> Array:
    """Return the weighted sum of `rows` (k, n), float32 (n,). `weights`: float32 (k,)."""
    out = np.empty(rows.shape[1], np.float32)
    native.weighted_sum(weights, rows, out)
    return out


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """Displacements in px of the grid's plane. `upper`, `jump`: float32 (len(FIELD_NAMES), ny, nx, 2), x before y."""

    upper: Array
    jump: Array


def evaluate_fields(face: FaceGeometry, x: Array, y: Array) -> Fields:
    """Evaluate every field at the nodes `x`, `y`, each (ny, nx), in px of the plane of `face`."""
    upper = np.zeros((len(FIELD_NAMES), *x.shape, 2), np.float32)
    jump = np.zeros_like(upper)
    mouth = MouthFields(face, x, y)
    above = (y <= mouth.seam)[..., None]
    cut = (1.0 - smoothstep((y - mouth.seam - CUT_DEPTH * face.unit) / (CUT_FADE * face.unit)))[..., None]
    for name, (low, up) in mouth.all().items():
        k = FIELD_INDEX[name]
        step = (_at_seam(mouth, low) - _at_seam(mouth, up)) * cut
        jump[k] = step * face.unit
        upper[k] = np.where(above, up(mouth.y), low(mouth.y) - step) * face.unit
    aside = np.abs(x - face.centre_x) / face.unit
    still_beside = (1.0 - smoothstep((aside - MOVED_WIDTH + FADE_BEGINS) / FADE_WIDTH))[..., None]
    for name, field in (brow_cheek_and_breath_fields(face, x, y) | mood_fields(face, mouth)).items():
        upper[FIELD_INDEX[name]] = field * still_beside * face.unit
    for name, field in head_fields(face, x, y).items():
        upper[FIELD_INDEX[name]] = field * still_beside
    return Fields(upper=upper, jump=jump)


def _at_seam(mouth: MouthFields, field: FieldAtHeight) -> Array:
    """Return the displacement at the seam between the corners, 0 beside them."""
    inside = (np.abs(mouth.t) < 1.0)[..., None]
    return np.where(inside, field(mouth.seam), 0.0).astype(np.float32)
