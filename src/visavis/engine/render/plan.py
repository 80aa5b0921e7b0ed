"""What all renderers of one avatar at one size share: texture, still picture, and fields on the grid of the output.

A plan never changes once it is made.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from visavis.engine.landmarks import CHIN, EYE_LEFT, EYE_RIGHT, FOREHEAD, FaceGeometry
from visavis.engine.pack.avatar_pack import AvatarPack
from visavis.engine.render.backdrop import DEFAULT_FRAMING, PHOTO, Backdrop, Framing
from visavis.engine.render.eyes import Eye
from visavis.engine.render.field_weights import FACE_FIELDS, FIELD_INDEX, FIELD_NAMES, HEAD_ANGLES, MOUTH_FIELDS
from visavis.engine.render.fields import MOVED_WIDTH, evaluate_fields
from visavis.engine.render.folds import Folds
from visavis.engine.render.framing import Frame, lay_out, place
from visavis.engine.render.interior import Interior, draw_interior, lip_colours
from visavis.engine.render.layers import Layers
from visavis.engine.render.lid_lines import lid_lines
from visavis.engine.render.sharpening import sharpen, strength_for
from visavis.engine.render.surroundings import Scene, extend_to_cover
from visavis.engine.render.warp import Grid

Array = NDArray[np.float32]
Box = tuple[int, int, int, int]  # left, top, right, bottom

SEAM_POINTS = 41  # along the seam, from the left corner of the mouth to the right one
STRIP_PX = 64  # even; a frame redraws only the strips in which something moves
MOTION_REACH = 0.24  # a moving person stays within this distance of the matte, eye distances
TEXTURE_MARGIN = 0.3  # of texture around the region, eye distances: a turn of the head shows no more than that
LEAST_MARGIN_PX = 8
# A texture finer than the output keeps a moving face about as sharp as a still one: 0.85 of the sharpness of the photo,
# 0.7 without (measured on Iris).
ZOOM_MAX = 1.25
CELLS_PER_UNIT, LEAST_CELL_PX = 19, 3  # nodes of the grid per eye distance: 6 to 10 px apart in common sizes
# The part of the grid in which the fields of speech are not 0, eye distances from the middle of the mouth, from the
# base of the nose and from the chin. It holds the reach of every field in mouth_fields.py.
MOUTH_REACH_ASIDE, MOUTH_REACH_ABOVE_NOSE, MOUTH_REACH_BELOW_CHIN = 1.15, 0.35, 1.05
SHARPNESS_REACH = 0.18  # around the corners of the mouth: there the sharpness of the texture is compared with the photo
LEAST_COMPARED_PX = 16  # a smaller part is not worth comparing
LEAST_SPAN_PX = 8  # the kernels draw eight px at once


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderPlan:
    """One avatar at one output size. Lengths are output px unless stated otherwise.

    `still`: the still picture, I420, (height * 3 / 2, width): the background everywhere, without the person. With a
    transparent background it is twice as high: above, the colours of the person spread outward; below, a matte without
    the person.
    `texture`: uint8 (H, W, 4): premultiplied Y, U, V of the person, and the transparency. It has `zoom` texels per
    output px and begins at the output px `origin`.
    `region`: left, top, right, bottom of the part that may move, even numbers. `strips`: the same for its parts, from
    the top down, each no wider than the person there. `spans`, int32 (height of the region / 2, 2): for each pair of
    rows, the first px and the end of the px in which the person may show; even numbers, equal or at least 8 apart.
    `grid`: covers the region. `mouth_rows` and `mouth_columns` cut `mouth_grid` from it.
    `face_fields`: the fields FACE_FIELDS at the nodes of `grid`, one row each. `mouth_fields` and `jump_fields`: the
    fields MOUTH_FIELDS of the upper layer, and their jumps, at the nodes of `mouth_grid`.
    `seam`: (SEAM_POINTS, 2). `seam_upper` and `seam_jump`: all fields at these points, one row each. `seam_turns`,
    (3, 2): the displacement of the middle of the seam per degree of yaw, pitch and roll.
    """

    width_px: int
    height_px: int
    backdrop: Backdrop
    framing: Framing
    frame: Frame
    face: FaceGeometry
    still: NDArray[np.uint8]
    texture: NDArray[np.uint8]
    zoom: float
    origin: tuple[int, int]
    region: Box
    strips: tuple[Box, ...]
    spans: NDArray[np.int32]
    grid: Grid
    face_fields: Array
    mouth_grid: Grid
    mouth_rows: slice
    mouth_columns: slice
    mouth_fields: Array
    jump_fields: Array
    seam: Array
    seam_upper: Array
    seam_jump: Array
    seam_turns: Array
    interior: Interior
    eyes: tuple[Eye, Eye]
    folds: Folds


def plan_for(
    pack: AvatarPack,
    width_px: int,
    height_px: int,
    backdrop: Backdrop = PHOTO,
    framing: Framing = DEFAULT_FRAMING,
    image: Path | None = None,
) -> RenderPlan:
    """Return the plan of `pack` at a size and in front of a background. The first call makes it; later calls share it.

    `image`: the file of the background picture; files with the same picture_id must have the same content. Raises
    PictureUnreadable.
    """
    key = (width_px, height_px, backdrop, framing)
    if key not in pack.plans:
        alike = next(
            (
                plan
                for plan in pack.plans.values()
                if (plan.width_px, plan.height_px, plan.framing) == (width_px, height_px, framing)
            ),
            None,
        )
        pack.plans[key] = (
            _make(pack, width_px, height_px, backdrop, framing, image)
            if alike is None
            else _with_background(pack, alike, backdrop, image)
        )
    plan: RenderPlan = pack.plans[key]
    return plan


def _with_background(pack: AvatarPack, plan: RenderPlan, backdrop: Backdrop, image: Path | None) -> RenderPlan:
    """Return `plan` with another background. The geometry stays, so a running session can change its background."""
    layers = Layers.of(extend_to_cover(pack, plan.frame, plan.width_px, plan.height_px), backdrop, image)
    margin = plan.region[0] - plan.origin[0]
    box = (*plan.origin, plan.region[2] + margin, plan.region[3] + margin)
    texture = _sharpened_texture(layers, plan.face, box, plan.zoom)
    eyes, folds = _painters(texture, plan.face, plan.zoom, plan.origin)
    still = layers.still(plan.region, plan.width_px, plan.height_px, plan.face.unit)
    return replace(plan, backdrop=backdrop, still=still, texture=texture, eyes=eyes, folds=folds)


def _sharpened_texture(layers: Layers, face: FaceGeometry, box: Box, zoom: float) -> NDArray[np.uint8]:
    """Return the texture of `box`, sharpened until interpolation leaves as much detail around the mouth as the picture
    has.
    """
    texture = layers.texture(box, zoom)
    corners, m = np.vstack([face.corner_left, face.corner_right]), SHARPNESS_REACH * face.unit
    (left, top), (right, bottom) = (
        np.floor(corners.min(axis=0) - m).astype(int),
        np.ceil(corners.max(axis=0) + m).astype(int),
    )
    mouth = max(box[0], int(left)), max(box[1], int(top)), min(box[2], int(right)), min(box[3], int(bottom))
    if mouth[2] - mouth[0] >= LEAST_COMPARED_PX and mouth[3] - mouth[1] >= LEAST_COMPARED_PX:
        columns, rows = (
            slice(round((mouth[i] - box[i]) * zoom), round((mouth[i + 2] - box[i]) * zoom)) for i in (0, 1)
        )
        sharpen(texture, strength_for(texture[rows, columns], layers.luma(mouth), zoom))
    return texture


def _painters(
    texture: NDArray[np.uint8], face: FaceGeometry, zoom: float, origin: tuple[int, int]
) -> tuple[tuple[Eye, Eye], Folds]:
    """Return the eyes and the folds that frames paint into copies of `texture`; they keep parts of it."""
    on_texture = to_texture(face.landmarks[:, :2].copy(), zoom, origin)
    unit = face.unit * zoom
    left, right = lid_lines(texture, on_texture, unit)
    eyes = Eye(texture, on_texture, unit, EYE_LEFT, left), Eye(texture, on_texture, unit, EYE_RIGHT, right)
    return eyes, Folds(texture, on_texture, unit, (eyes[0].box, eyes[1].box))


def _make(
    pack: AvatarPack, width: int, height: int, backdrop: Backdrop, framing: Framing, image: Path | None
) -> RenderPlan:
    ph, pw = pack.matte.shape
    frame = place(
        pack.head, float(pack.landmarks[CHIN, 1] - pack.landmarks[FOREHEAD, 1]), pw, ph, width, height, framing.zoom
    )
    s = frame.scale
    zoom = float(np.clip(1.0 / s, 1.0, ZOOM_MAX))
    face = FaceGeometry.of(_scaled(pack.landmarks, frame))
    scene = extend_to_cover(pack, frame, width, height)
    region = _region(scene, face, width, height)
    margin = max(LEAST_MARGIN_PX, int(TEXTURE_MARGIN * face.unit))
    origin = (region[0] - margin, region[1] - margin)
    layers = Layers.of(scene, backdrop, image)
    texture = _sharpened_texture(layers, face, (*origin, region[2] + margin, region[3] + margin), zoom)
    cell = max(LEAST_CELL_PX, round(face.unit / CELLS_PER_UNIT))
    grid = Grid.over(*region, cell)
    fields = evaluate_fields(face, *grid.nodes())
    e, mouth = face.unit, (face.corner_left + face.corner_right) / 2
    rows, columns, mouth_grid = grid.part(
        int(float(mouth[0]) - MOUTH_REACH_ASIDE * e),
        int(face.nose_base_y - MOUTH_REACH_ABOVE_NOSE * e),
        int(float(mouth[0]) + MOUTH_REACH_ASIDE * e),
        int(float(face.chin[1]) + MOUTH_REACH_BELOW_CHIN * e),
    )
    seam_x = np.linspace(float(face.corner_left[0]), float(face.corner_right[0]), SEAM_POINTS, dtype=np.float32)
    seam = np.stack([seam_x, face.seam_y(seam_x)], axis=-1)
    on_seam = evaluate_fields(face, seam[None, :, 0], seam[None, :, 1])
    lip_upper, lip_lower = lip_colours(pack.picture, FaceGeometry.of(pack.landmarks))
    middle = SEAM_POINTS // 2
    eyes, folds = _painters(texture, face, zoom, origin)
    spans = _spans(scene, region, face.unit)
    return RenderPlan(
        width_px=width,
        height_px=height,
        backdrop=backdrop,
        framing=framing,
        frame=frame,
        face=face,
        still=layers.still(region, width, height, face.unit),
        texture=texture,
        zoom=zoom,
        origin=origin,
        region=region,
        strips=_strips(region, spans),
        spans=spans,
        grid=grid,
        face_fields=_rows_of(fields.upper[FACE_FIELDS]),
        mouth_grid=mouth_grid,
        mouth_rows=rows,
        mouth_columns=columns,
        mouth_fields=_rows_of(fields.upper[MOUTH_FIELDS, rows, columns]),
        jump_fields=_rows_of(fields.jump[MOUTH_FIELDS, rows, columns]),
        seam=seam,
        seam_upper=np.ascontiguousarray(on_seam.upper[:, 0]).reshape(len(FIELD_NAMES), -1),
        seam_jump=np.ascontiguousarray(on_seam.jump[:, 0]).reshape(len(FIELD_NAMES), -1),
        seam_turns=np.ascontiguousarray(on_seam.upper[[FIELD_INDEX[name] for name in HEAD_ANGLES], 0, middle]),
        interior=draw_interior(FaceGeometry.of(pack.landmarks), pack, lip_upper, lip_lower, face.unit),
        eyes=eyes,
        folds=folds,
    )


def _rows_of(fields: Array) -> Array:
    """Return fields (k, ny, nx, 2) as contiguous rows, one each."""
    return np.ascontiguousarray(fields).reshape(len(fields), -1)


def to_texture(at: Array, zoom: float, origin: tuple[int, int]) -> Array:
    """Convert positions (..., 2) from output px to texture px, in place, and return them. In both, the centre of a px
    has whole coordinates.
    """
    at -= np.array(origin, np.float32)
    at *= np.float32(zoom)
    at += np.float32(0.5 * zoom - 0.5)
    return at


def _scaled(landmarks: Array, frame: Frame) -> Array:
    """Return landmarks in output px. In both planes, the centre of a px has whole coordinates."""
    out = landmarks * np.float32(frame.scale)
    out[:, 0] += frame.shift_x + 0.5 * frame.scale - 0.5
    out[:, 1] += frame.shift_y + 0.5 * frame.scale - 0.5
    return out


def _region(scene: Scene, face: FaceGeometry, width: int, height: int) -> Box:
    """Return the box that a moving person may touch, even numbers: the matte and MOTION_REACH around it, but no wider
    than MOVED_WIDTH.
    """
    person = scene.matte > 1
    columns, rows = np.flatnonzero(person.any(axis=0)), np.flatnonzero(person.any(axis=1))
    reach, wide, frame = MOTION_REACH * face.unit, MOVED_WIDTH * face.unit, scene.frame
    left, right = (frame.scale * float(c) + frame.shift_x for c in (columns[0], columns[-1] + 1))
    top, bottom = (frame.scale * float(r) + frame.shift_y for r in (rows[0], rows[-1] + 1))
    return (
        max(0, int(max(left - reach, face.centre_x - wide)) // 2 * 2),
        max(0, int(top - reach) // 2 * 2),
        min(width, int(min(right + reach, face.centre_x + wide) + 2) // 2 * 2),
        min(height, int(bottom + reach + 2) // 2 * 2),
    )


def _spans(scene: Scene, region: Box, unit: float) -> NDArray[np.int32]:
    """Return, for each pair of rows of the region, the px in which the moving person may show; see RenderPlan."""
    left, top, right, bottom = region
    frame = Frame(scale=scene.frame.scale, shift_x=scene.frame.shift_x - left, shift_y=scene.frame.shift_y - top)
    person = lay_out(scene.matte, frame, right - left, bottom - top, 1.0, cv2.BORDER_REPLICATE) > 0
    reach, width = int(MOTION_REACH * unit) + 2, right - left
    spans = np.zeros(((bottom - top) // 2, 2), np.int32)
    for k in range(len(spans)):
        columns = np.flatnonzero(person[max(0, 2 * k - reach) : 2 * k + 2 + reach].any(axis=0))
        if len(columns):
            begin, end = max(0, int(columns[0]) - reach) // 2 * 2, min(width, (int(columns[-1]) + reach + 2) // 2 * 2)
            begin = max(0, min(begin, end - LEAST_SPAN_PX))
            spans[k] = left + begin, left + max(end, begin + LEAST_SPAN_PX)
    return spans


def _strips(region: Box, spans: NDArray[np.int32]) -> tuple[Box, ...]:
    """Return the region cut into strips, each as wide as the person may show in it."""
    strips = []
    for begin in range(region[1], region[3], STRIP_PX):
        end = min(begin + STRIP_PX, region[3])
        shown = spans[(begin - region[1]) // 2 : (end - region[1]) // 2]
        shown = shown[shown[:, 1] > 0]
        if len(shown):
            strips.append((int(shown[:, 0].min()), begin, int(shown[:, 1].max()), end))
    return tuple(strips)
