"""What renderers of one avatar at one size share: textures, still picture, fields on the output's grid. Immutable once made."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from visavis.engine.render.colour import planes, to_yuv
from visavis.engine.render.eyes import Eye
from visavis.engine.render.fields import COLUMN, MOUTH_COLUMNS, MOVED_WIDTH, SKIN_COLUMNS, Fields, evaluate
from visavis.engine.render.framing import Frame, lay_out, place
from visavis.engine.render.interior import Interior, draw
from visavis.engine.render.landmarks import CHIN, EYE_LEFT, EYE_RIGHT, FOREHEAD, FaceGeometry
from visavis.engine.render.neutral import lip_colours
from visavis.engine.render.pack import AvatarPack
from visavis.engine.render.surroundings import Scene, surroundings
from visavis.engine.render.warp import Grid

Array = NDArray[np.float32]
Box = tuple[int, int, int, int]  # left, top, right, bottom

SEAM_POINTS = 41
STRIP_PX = 64  # even; lower ones make more calls, higher ones leave the cache and hug the person less
REACH = 0.24  # of a moving person about the matte, in eye distances
MARGIN = 0.3  # of texture about the region, in eye distances: as far as a head's turn reaches in from there
ZOOM_MAX = 1.25  # a texture finer than the output keeps a moving face as sharp as a still one (measured: 0.85 of the photo, 0.7 without)
CELLS_PER_UNIT = 19  # nodes of the grid per distance of the outer eye corners


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderPlan:
    """One avatar at one output size. Output px unless said otherwise.

    `still`: the I420 picture with the background everywhere and the person taken out, (height * 3 / 2, width).
    `texture`: uint8 (H, W, 4): premultiplied Y, U, V of the person and 255 minus their opacity; `zoom` texture px to an output px, beginning
    at the output px `origin`. `region`: left, top, right, bottom of what may move, even numbers; `strips`: the same for
    parts of it, top down, each no wider than the person there.
    `grid` serves the region, `mouth_rows` and `mouth_columns` cut `mouth_grid` from it. `skin`: the fields of SKIN_COLUMNS on the grid's nodes, a row
    each; `mouth` and `jump`: those of MOUTH_COLUMNS on the mouth's grid. `seam` (SEAM_POINTS, 2), `seam_upper` and `seam_jump`: the fields of all
    COLUMNS there, a row each; `skull` (3, 2): what a degree of yaw, pitch and roll does to the middle of the seam.
    """

    width_px: int
    height_px: int
    frame: Frame
    face: FaceGeometry
    still: NDArray[np.uint8]
    texture: NDArray[np.uint8]
    zoom: float
    origin: tuple[int, int]
    region: Box
    strips: tuple[Box, ...]
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


def plan_for(pack: AvatarPack, width_px: int, height_px: int) -> RenderPlan:
    """Return the shared plan of `pack` at a size, made on the first call."""
    key = (width_px, height_px)
    if key not in pack.plans:
        pack.plans[key] = _make(pack, width_px, height_px)
    return pack.plans[key]


def _make(pack: AvatarPack, width: int, height: int) -> RenderPlan:
    ph, pw = pack.matte.shape
    frame = place(pack.head, float(pack.landmarks[CHIN, 1] - pack.landmarks[FOREHEAD, 1]), pw, ph, width, height)
    s = frame.scale
    zoom = float(np.clip(1.0 / s, 1.0, ZOOM_MAX))
    face = FaceGeometry.of(_scaled(pack.landmarks, frame))
    scene = surroundings(pack, frame, width, height)
    region = _region(scene, face, width, height)
    margin = max(8, int(MARGIN * face.unit))
    origin = (region[0] - margin, region[1] - margin)
    texture = _texture(scene, (*origin, region[2] + margin, region[3] + margin), zoom)
    cell = max(3, round(face.unit / CELLS_PER_UNIT))
    grid = Grid.over(*region, cell)
    fields = evaluate(face, *grid.nodes())
    e, mouth = face.unit, (face.corner_left + face.corner_right) / 2
    rows, columns, mouth_grid = grid.part(
        int(mouth[0] - 1.15 * e), int(face.nose_base_y - 0.35 * e), int(mouth[0] + 1.15 * e), int(face.chin[1] + 1.05 * e)
    )
    seam_x = np.linspace(face.corner_left[0], face.corner_right[0], SEAM_POINTS, dtype=np.float32)
    seam = np.stack([seam_x, face.seam_y(seam_x)], axis=-1)
    on_seam: Fields = evaluate(face, seam[None, :, 0], seam[None, :, 1])
    lip_upper, lip_lower = lip_colours(pack.picture, FaceGeometry.of(pack.landmarks))
    middle = SEAM_POINTS // 2
    on_texture = to_texture(face.landmarks[:, :2].copy(), zoom, origin)
    return RenderPlan(
        width_px=width,
        height_px=height,
        frame=frame,
        face=face,
        still=_to_i420(_still(scene, region, width, height)),
        texture=texture,
        zoom=zoom,
        origin=origin,
        region=region,
        strips=_strips(scene, region, face.unit),
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
        eyes=(Eye(texture, on_texture, face.unit * zoom, EYE_LEFT), Eye(texture, on_texture, face.unit * zoom, EYE_RIGHT)),
    )


def to_texture(at: Array, zoom: float, origin: tuple[int, int]) -> Array:
    """Turn positions (..., 2) in output px into texture px, in place, and return them. Px centres are at whole numbers in both."""
    at -= np.array(origin, np.float32)
    at *= np.float32(zoom)
    at += np.float32(0.5 * zoom - 0.5)
    return at


def _still(scene: Scene, region: Box, width: int, height: int) -> NDArray[np.uint8]:
    """Return the picture without the person, RGB (height, width, 3); beside the region, where nothing moves, with them."""
    still = lay_out(scene.background, scene.frame, width, height, 1.0, cv2.BORDER_REPLICATE)
    for left, right in ((0, region[0]), (region[2], width)):
        if left < right:
            beside = Frame(scale=scene.frame.scale, shift_x=scene.frame.shift_x - left, shift_y=scene.frame.shift_y)
            still[:, left:right] = lay_out(scene.picture, beside, right - left, height, 1.0, cv2.BORDER_REPLICATE, sharp=True)
    return still


def _texture(scene: Scene, box: Box, zoom: float) -> NDArray[np.uint8]:
    """Return the person, premultiplied: P = I - (1 - a) B, so that person over background is the photo exactly, whatever stands in the background.

    `box`: left, top, right, bottom of what it covers, output px.
    """
    left, top, right, bottom = box
    width, height = round((right - left) * zoom), round((bottom - top) * zoom)
    inner = Frame(scale=scene.frame.scale, shift_x=scene.frame.shift_x - left, shift_y=scene.frame.shift_y - top)
    picture = lay_out(scene.picture, inner, width, height, zoom, cv2.BORDER_REPLICATE, sharp=True)
    ground = lay_out(scene.background, inner, width, height, zoom, cv2.BORDER_REPLICATE)
    matte = lay_out(scene.matte, inner, width, height, zoom, cv2.BORDER_REPLICATE)
    texture = np.empty((height, width, 4), np.uint8)
    for top in range(0, height, 64):  # in strips: the whole in float32 would take a hundred megabytes
        rows = slice(top, top + 64)
        opacity = matte[rows].astype(np.float32)[..., None] / 255.0
        opacity[opacity < 2 / 255] = 0.0
        person = to_yuv(picture[rows]) - (1.0 - opacity) * to_yuv(ground[rows])
        person *= opacity > 0
        texture[rows, :, :3] = np.rint(np.clip(person, 0, 255))
        texture[rows, :, 3:] = np.rint(255.0 * (1.0 - opacity))
    return texture


def _scaled(landmarks: Array, frame: Frame) -> Array:
    """Landmarks in output px. Picture px centres are at whole numbers in both planes."""
    out = landmarks * np.float32(frame.scale)
    out[:, 0] += frame.shift_x + 0.5 * frame.scale - 0.5
    out[:, 1] += frame.shift_y + 0.5 * frame.scale - 0.5
    return out


def _region(scene: Scene, face: FaceGeometry, width: int, height: int) -> Box:
    """The box that a moving person may touch, in even px: the matte, and the reach of a head's turn about it; no wider than anything moves."""
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


def _strips(scene: Scene, region: Box, unit: float) -> tuple[Box, ...]:
    """Cut the region into strips as wide as the person and the reach of its movement; even px."""
    left, top, right, bottom = region
    frame = Frame(scale=scene.frame.scale, shift_x=scene.frame.shift_x - left, shift_y=scene.frame.shift_y - top)
    person = lay_out(scene.matte, frame, right - left, bottom - top, 1.0, cv2.BORDER_REPLICATE) > 0
    reach = int(REACH * unit) + 2
    strips = []
    for begin in range(0, bottom - top, STRIP_PX):
        end = min(begin + STRIP_PX, bottom - top)
        columns = np.flatnonzero(person[max(0, begin - reach) : end + reach].any(axis=0))
        if len(columns):
            wide = max(0, int(columns[0]) - reach) // 2 * 2, min(right - left, (int(columns[-1]) + reach + 2) // 2 * 2)
            strips.append((left + wide[0], top + begin, left + wide[1], top + end))
    return tuple(strips)


def _to_i420(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return an RGB picture as I420, dithered (with always the same noise): a smooth wall in 8 bits of chroma would show bands."""
    noise = np.random.default_rng(1)
    height, width = rgb.shape[:2]
    i420 = np.empty((height * 3 // 2, width), np.uint8)
    y, u, v = planes(i420, width, height)
    for top in range(0, height, 64):
        yuv = to_yuv(rgb[top : top + 64])
        half = cv2.resize(yuv, (width // 2, yuv.shape[0] // 2), interpolation=cv2.INTER_AREA)
        y[top : top + 64] = yuv[..., 0] + noise.random(yuv.shape[:2], np.float32)
        for plane, channel in ((u, 1), (v, 2)):
            plane[top // 2 : top // 2 + 32] = half[..., channel] + noise.random(half.shape[:2], np.float32)
    return i420
