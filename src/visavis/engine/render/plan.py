"""What renderers of one avatar at one size share: textures, still picture, fields on the output's grid. Immutable once
made.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from visavis.engine.render.backdrop import AS_EVER, PHOTO, Backdrop, Framing
from visavis.engine.render.creases import Creases
from visavis.engine.render.detail import sharpen, strength_for
from visavis.engine.render.eyes import Eye
from visavis.engine.render.fields import COLUMN, MOUTH_COLUMNS, MOVED_WIDTH, SKIN_COLUMNS, Fields, evaluate
from visavis.engine.render.framing import Frame, lay_out, place
from visavis.engine.render.interior import Interior, draw
from visavis.engine.render.landmarks import CHIN, EYE_LEFT, EYE_RIGHT, FOREHEAD, FaceGeometry
from visavis.engine.render.layers import Layers
from visavis.engine.render.lid_lines import lid_lines
from visavis.engine.render.neutral import lip_colours
from visavis.engine.render.pack import AvatarPack
from visavis.engine.render.surroundings import Scene, surroundings
from visavis.engine.render.warp import Grid

Array = NDArray[np.float32]
Box = tuple[int, int, int, int]  # left, top, right, bottom

SEAM_POINTS = 41
STRIP_PX = 64  # even; the picture is drawn anew by strips in which something moves
REACH = 0.24  # of a moving person about the matte, in eye distances
MARGIN = 0.3  # of texture about the region, in eye distances: as far as a head's turn reaches in from there
# a texture finer than the output keeps a moving face as sharp as a still one (measured: 0.85 of the photo, 0.7 without)
ZOOM_MAX = 1.25
CELLS_PER_UNIT = 19  # nodes of the grid per distance of the outer eye corners


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderPlan:
    """One avatar at one output size. Output px unless said otherwise.

    `still`: the I420 picture with the background everywhere and the person taken out, (height * 3 / 2, width); of a
    transparent backdrop twice as high: the person's colours spread outward, and below them a matte without the person.
    `texture`: uint8 (H, W, 4): premultiplied Y, U, V of the person and 255 minus their opacity; `zoom` texture px to an
    output px, beginning at the output px `origin`. `region`: left, top, right, bottom of what may move, even numbers;
    `strips`: the same for parts of it, top down, each no wider than the person there; `spans`, int32 (height of the
    region / 2, 2): for each two rows of it, from which px to which one the person may show, even numbers, 8 apart at
    least or equal. `grid` serves the region, `mouth_rows` and `mouth_columns` cut `mouth_grid` from it. `skin`: the
    fields of SKIN_COLUMNS on the grid's nodes, a row each; `mouth` and `jump`: those of MOUTH_COLUMNS on the mouth's
    grid. `seam` (SEAM_POINTS, 2), `seam_upper` and `seam_jump`: the fields of all COLUMNS there, a row each; `skull`
    (3, 2): what a degree of yaw, pitch and roll does to the middle of the seam.
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
    skin: Array
    mouth_grid: Grid
    mouth_rows: slice
    mouth_columns: slice
    mouth: Array
    jump: Array
    seam: Array
    seam_upper: Array
    seam_jump: Array
    skull: Array
    interior: Interior
    eyes: tuple[Eye, Eye]
    creases: Creases


def plan_for(
    pack: AvatarPack,
    width_px: int,
    height_px: int,
    backdrop: Backdrop = PHOTO,
    framing: Framing = AS_EVER,
    image: Path | None = None,
) -> RenderPlan:
    """Return the shared plan of `pack` at a size, before a backdrop, made on the first call. `image`: the file of the
    backdrop's picture; files of one picture_id are taken to hold the same. Raises BackgroundRefused.
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
            else _before(pack, alike, backdrop, image)
        )
    plan: RenderPlan = pack.plans[key]
    return plan


def _before(pack: AvatarPack, plan: RenderPlan, backdrop: Backdrop, image: Path | None) -> RenderPlan:
    """Return `plan` before another backdrop: nothing of its geometry changes, so a session can change its background in
    passing.
    """
    layers = Layers.of(surroundings(pack, plan.frame, plan.width_px, plan.height_px), backdrop, image)
    margin = plan.region[0] - plan.origin[0]
    texture = _texture(layers, plan.face, (*plan.origin, plan.region[2] + margin, plan.region[3] + margin), plan.zoom)
    eyes, creases = _painted(texture, plan.face, plan.zoom, plan.origin)
    still = layers.still(plan.region, plan.width_px, plan.height_px, plan.face.unit)
    return replace(plan, backdrop=backdrop, still=still, texture=texture, eyes=eyes, creases=creases)


def _texture(layers: Layers, face: FaceGeometry, box: Box, zoom: float) -> NDArray[np.uint8]:
    """Return the layers' texture of `box`, as detailed about the mouth as the picture is, though it is looked up
    between its px.
    """
    texture = layers.texture(box, zoom)
    corners, m = np.vstack([face.corner_left, face.corner_right]), 0.18 * face.unit
    (left, top), (right, bottom) = (
        np.floor(corners.min(axis=0) - m).astype(int),
        np.ceil(corners.max(axis=0) + m).astype(int),
    )
    mouth = max(box[0], int(left)), max(box[1], int(top)), min(box[2], int(right)), min(box[3], int(bottom))
    if mouth[2] - mouth[0] >= 16 and mouth[3] - mouth[1] >= 16:
        columns, rows = (
            slice(round((mouth[i] - box[i]) * zoom), round((mouth[i + 2] - box[i]) * zoom)) for i in (0, 1)
        )
        sharpen(texture, strength_for(texture[rows, columns], layers.luma(mouth), zoom))
    return texture


def _painted(
    texture: NDArray[np.uint8], face: FaceGeometry, zoom: float, origin: tuple[int, int]
) -> tuple[tuple[Eye, Eye], Creases]:
    """Return what paints into a texture: it keeps parts of it."""
    on_texture = to_texture(face.landmarks[:, :2].copy(), zoom, origin)
    unit = face.unit * zoom
    left, right = lid_lines(texture, on_texture, unit)
    eyes = Eye(texture, on_texture, unit, EYE_LEFT, left), Eye(texture, on_texture, unit, EYE_RIGHT, right)
    return eyes, Creases(texture, on_texture, unit, (eyes[0].box, eyes[1].box))


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
    scene = surroundings(pack, frame, width, height)
    region = _region(scene, face, width, height)
    margin = max(8, int(MARGIN * face.unit))
    origin = (region[0] - margin, region[1] - margin)
    layers = Layers.of(scene, backdrop, image)
    texture = _texture(layers, face, (*origin, region[2] + margin, region[3] + margin), zoom)
    cell = max(3, round(face.unit / CELLS_PER_UNIT))
    grid = Grid.over(*region, cell)
    fields = evaluate(face, *grid.nodes())
    e, mouth = face.unit, (face.corner_left + face.corner_right) / 2
    rows, columns, mouth_grid = grid.part(
        int(mouth[0] - 1.15 * e),
        int(face.nose_base_y - 0.35 * e),
        int(mouth[0] + 1.15 * e),
        int(face.chin[1] + 1.05 * e),
    )
    seam_x = np.linspace(face.corner_left[0], face.corner_right[0], SEAM_POINTS, dtype=np.float32)
    seam = np.stack([seam_x, face.seam_y(seam_x)], axis=-1)
    on_seam: Fields = evaluate(face, seam[None, :, 0], seam[None, :, 1])
    lip_upper, lip_lower = lip_colours(pack.picture, FaceGeometry.of(pack.landmarks))
    middle = SEAM_POINTS // 2
    eyes, creases = _painted(texture, face, zoom, origin)
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
        skin=np.ascontiguousarray(fields.upper[SKIN_COLUMNS].reshape(len(SKIN_COLUMNS), -1)),
        mouth_grid=mouth_grid,
        mouth_rows=rows,
        mouth_columns=columns,
        mouth=np.ascontiguousarray(fields.upper[MOUTH_COLUMNS, rows, columns].reshape(len(MOUTH_COLUMNS), -1)),
        jump=np.ascontiguousarray(fields.jump[MOUTH_COLUMNS, rows, columns].reshape(len(MOUTH_COLUMNS), -1)),
        seam=seam,
        seam_upper=np.ascontiguousarray(on_seam.upper[:, 0]).reshape(len(COLUMN), -1),
        seam_jump=np.ascontiguousarray(on_seam.jump[:, 0]).reshape(len(COLUMN), -1),
        skull=np.ascontiguousarray(on_seam.upper[[COLUMN["yaw"], COLUMN["pitch"], COLUMN["roll"]], 0, middle]),
        interior=draw(FaceGeometry.of(pack.landmarks), pack, lip_upper, lip_lower, face.unit),
        eyes=eyes,
        creases=creases,
    )


def to_texture(at: Array, zoom: float, origin: tuple[int, int]) -> Array:
    """Turn positions (..., 2) in output px into texture px, in place, and return them. Px centres are at whole numbers
    in both.
    """
    at -= np.array(origin, np.float32)
    at *= np.float32(zoom)
    at += np.float32(0.5 * zoom - 0.5)
    return at


def _scaled(landmarks: Array, frame: Frame) -> Array:
    """Landmarks in output px. Picture px centres are at whole numbers in both planes."""
    out = landmarks * np.float32(frame.scale)
    out[:, 0] += frame.shift_x + 0.5 * frame.scale - 0.5
    out[:, 1] += frame.shift_y + 0.5 * frame.scale - 0.5
    return out


def _region(scene: Scene, face: FaceGeometry, width: int, height: int) -> Box:
    """The box that a moving person may touch, in even px: the matte, and the reach of a head's turn about it; no wider
    than anything moves.
    """
    person = scene.matte > 1
    columns, rows = np.flatnonzero(person.any(axis=0)), np.flatnonzero(person.any(axis=1))
    reach, wide, frame = REACH * face.unit, MOVED_WIDTH * face.unit, scene.frame
    left, right = (frame.scale * float(c) + frame.shift_x for c in (columns[0], columns[-1] + 1))
    top, bottom = (frame.scale * float(r) + frame.shift_y for r in (rows[0], rows[-1] + 1))
    return (
        max(0, int(max(left - reach, face.centre_x - wide)) // 2 * 2),
        max(0, int(top - reach) // 2 * 2),
        min(width, int(min(right + reach, face.centre_x + wide) + 2) // 2 * 2),
        min(height, int(bottom + reach + 2) // 2 * 2),
    )


def _spans(scene: Scene, region: Box, unit: float) -> NDArray[np.int32]:
    """Return between which px the person may show in each two rows of the region, the reach of its movement included;
    see RenderPlan.
    """
    left, top, right, bottom = region
    frame = Frame(scale=scene.frame.scale, shift_x=scene.frame.shift_x - left, shift_y=scene.frame.shift_y - top)
    person = lay_out(scene.matte, frame, right - left, bottom - top, 1.0, cv2.BORDER_REPLICATE) > 0
    reach, width = int(REACH * unit) + 2, right - left
    spans = np.zeros(((bottom - top) // 2, 2), np.int32)
    for k in range(len(spans)):
        columns = np.flatnonzero(person[max(0, 2 * k - reach) : 2 * k + 2 + reach].any(axis=0))
        if len(columns):
            begin, end = max(0, int(columns[0]) - reach) // 2 * 2, min(width, (int(columns[-1]) + reach + 2) // 2 * 2)
            begin = max(0, min(begin, end - 8))
            spans[k] = left + begin, left + max(end, begin + 8)
    return spans


def _strips(region: Box, spans: NDArray[np.int32]) -> tuple[Box, ...]:
    """Cut the region into strips as wide as what shows there."""
    strips = []
    for begin in range(region[1], region[3], STRIP_PX):
        end = min(begin + STRIP_PX, region[3])
        shown = spans[(begin - region[1]) // 2 : (end - region[1]) // 2]
        shown = shown[shown[:, 1] > 0]
        if len(shown):
            strips.append((int(shown[:, 0].min()), begin, int(shown[:, 1].max()), end))
    return tuple(strips)
