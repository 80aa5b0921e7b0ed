"""The kernels: C functions that do the work for every pixel of every frame.

They are compiled from the C files in this folder when the package is installed (docs/decisions/0015). Python passes
arrays as pointers. The caller keeps every array alive during the call, contiguous (except that rows may be a stride
apart where a function takes a stride) and of the documented type. No function keeps a pointer. Every call releases the
interpreter lock. The same arguments give the same bytes on every machine.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from importlib.util import find_spec
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

LIBRARY = "visavis_native"
BORDER_TEXELS = 2  # around a texture; part of its array
SLACK = 16  # the same as in lookup.h
UNSEEN_CHANGE = 0.05  # levels of luma; the changes of a px, of which there are few, stay below one level together

_P, _I, _F = ctypes.c_void_p, ctypes.c_int32, ctypes.c_float
# 1: use only portable C, and no AVX2 or NEON. Tests and benchmarks compare both.
_PORTABLE = int(os.environ.get("VISAVIS_PORTABLE_KERNELS", "0") == "1")


class Grid(ctypes.Structure):
    """One pair (x, y) at every node of a warp.Grid: `nodes` float32 (ny, nx, 2), `across` = nx, `cell` in px."""

    _fields_ = [("nodes", _P), ("across", _I), ("cell", _I)]


class Texture(ctypes.Structure):
    """Y, U, V and transparency, uint8 (height, width, 4), inside a border of BORDER_TEXELS.

    `texels` points at texel (0, 0); `stride` is in bytes.
    """

    _fields_ = [("texels", _P), ("stride", _I), ("width", _I), ("height", _I)]

    @classmethod
    def of(cls, texture: NDArray[np.uint8]) -> Texture:
        """`texture`: an array that `with_border` returned."""
        height, width = texture.shape[:2]
        return cls(texels=address(texture), stride=texture.strides[0], width=width, height=height)


class Strip(ctypes.Structure):
    """See structs.h."""

    _fields_ = [
        *((name, _I) for name in ("left", "top", "width", "height")),
        ("spans", _P),
        ("still", _P * 3),
        ("out", _P * 3),
        ("stride", _I * 3),
        ("matte_stride", _I),
        ("matte", _P),
        ("drawn", _P),
        *((name, _I) for name in ("first_row", "last_row", "first_column", "last_column", "is_drawn")),
    ]


class Lips(ctypes.Structure):
    """See structs.h."""

    _fields_ = [
        *((name, _I) for name in ("left", "top", "width", "height")),
        ("middle", _P),
        ("steepness", _F),
        ("pixels", _P),
    ]


class Patch(ctypes.Structure):
    """See structs.h."""

    _fields_ = [("yuva", _P), ("width", _I), ("height", _I), ("x", _F), ("y", _F), ("light", _F)]


class Opening(ctypes.Structure):
    """See structs.h."""

    _fields_ = [
        ("pixels", _P),
        *((name, _I) for name in ("pixels_width", "pixels_height", "left", "top", "width", "height", "lit_rows_below")),
        *(
            (name, _P)
            for name in ("upper", "lower", "cosine_upper", "cosine_lower", "recoloured", "inner", "light", "shadow")
        ),
        *((name, _F) for name in ("shadow_depth", "shadow_decay", "edge_steepness", "inner_steepness")),
        ("lip_upper", _F * 4),
        ("lip_lower", _F * 4),
        ("roll_cosine", _F),
        ("roll_sine", _F),
        ("patches", ctypes.POINTER(Patch)),
        ("patch_count", _I),
    ]


class Shading(ctypes.Structure):
    """See structs.h."""

    _fields_ = [
        (name, _F)
        for name in (
            "left",
            "steepest",
            "line_kept",
            "recoloured_share",
            "recoloured_most",
            "inner_share",
            "inner_most",
            "centre",
            "half_width",
            "corner_dark",
            "corner_flatness",
            "corner_light_least",
            "light",
            "shadow_length",
        )
    ]


class Sources(ctypes.Structure):
    """See structs.h."""

    _fields_ = [
        *((name, _I) for name in ("across", "down", "cell", "mouth_left", "mouth_top", "mouth_across", "mouth_down")),
        *((name, _I) for name in ("face_rows", "mouth_rows")),
        *((name, _P) for name in ("face_fields", "mouth_fields", "jump_fields", "at_rest", "mouth_at_rest")),
        ("zoom", _F),
        *((name, _P) for name in ("field", "mouth_field", "work", "upper", "lower", "both")),
    ]


class Gaze(ctypes.Structure):
    """See structs.h."""

    _fields_ = [
        ("width", _I),
        ("height", _I),
        ("open", _P),
        ("behind", _P),
        *((name, _I) for name in ("left", "top", "across", "down")),
        ("shown", _P),
        ("weight", _P),
    ]


class Lids(ctypes.Structure):
    """See structs.h."""

    _fields_ = [
        ("width", _I),
        ("height", _I),
        *((name, _P) for name in ("open", "lid_skin", "look")),
        *((name, _P) for name in ("upper_first", "upper_second", "lower_first", "lower_second", "rim_fade")),
        *((name, _P) for name in ("lid", "drop", "lift", "rim", "rise", "lash_strength")),
        *((name, _F) for name in ("upper_share", "lower_share", "dropped", "raised", "risen")),
        *((name, _F) for name in ("overlap", "per_lash", "lash_share")),
        ("lash", ctypes.c_uint8 * 4),
    ]


STRUCTS: tuple[type[ctypes.Structure], ...] = (Grid, Texture, Strip, Lips, Patch, Opening, Shading, Sources, Gaze, Lids)


def address(array: NDArray[np.generic]) -> int:
    """Return the address of the first element of `array`."""
    return array.ctypes.data


def with_border(texture: NDArray[np.uint8], border: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    """Return a copy of `texture` (h, w, 4) inside a border of the texel `border`, as a writable view of the inner
    part.
    """
    height, width = texture.shape[:2]
    whole = np.empty((height + 2 * BORDER_TEXELS, width + 2 * BORDER_TEXELS, 4), np.uint8)
    whole[:] = border
    inner = whole[BORDER_TEXELS:-BORDER_TEXELS, BORDER_TEXELS:-BORDER_TEXELS]
    inner[:] = texture
    return inner


def row_scratch(width: int, cell: int) -> NDArray[np.float32]:
    """Return the scratch memory of `draw_strips` and `draw_lips`, for boxes up to `width` px."""
    return np.empty(6 * (width + 2 * (SLACK + cell)), np.float32)


def invert_scratch(nx: int, ny: int) -> NDArray[np.float32]:
    """Return the scratch memory of `invert`, for grids up to nx by ny nodes."""
    return np.empty(4 * nx * ny + 3 * nx, np.float32)


def draw_strips(
    strips: ctypes.Array[Strip],
    grid: Grid,
    texture: Texture,
    threshold: float,
    changed: Sequence[tuple[int, int]],
    scratch: int,
) -> int:
    """Draw the strips in which a node has moved by more than `threshold` texture px, and those that touch the rows
    `changed`. Return how many were drawn.

    `changed`: (first, end) of rows, px from the beginning of the grid. `scratch`: the address of memory from
    `row_scratch`.
    """
    rows = (_I * (2 * len(changed)))(*chain.from_iterable(changed))
    pointers = ctypes.byref(grid), ctypes.byref(texture)
    return int(
        _library.visavis_draw_strips(strips, len(strips), *pointers, threshold, rows, len(changed), scratch, _PORTABLE)
    )


def draw_lips(lips: Lips, upper: Grid, lower: Grid, texture: Texture, scratch: int) -> None:
    """Look up both lips: the upper layer above the line between them, the lower layer below it.

    `upper`, `lower`: the places in the texture of the nodes of both layers. `scratch`: the address of memory from
    `row_scratch`.
    """
    _library.visavis_draw_lips(
        ctypes.byref(lips), ctypes.byref(upper), ctypes.byref(lower), ctypes.byref(texture), scratch, _PORTABLE
    )


def pose_lips(
    rest: int, fields: tuple[int, int], rows: int, points: int, weights: int, lines: tuple[int, int, int], extent: int
) -> float:
    """Pose the lines of the lips, and return how far they are apart at most, px; below 0 if they overlap.

    Of all arrays, float32, the addresses are given. `rest`: the line of resting lips, (points, 2). `fields`: (rows,
    2 * points) each: how each weight moves the upper line, and how the lower line jumps away from it. `weights`:
    (rows,). Written are `lines`, upper, lower and middle, (points, 2) each, and `extent`, (8,): left, top, right and
    bottom of both lines, then left, top and right of the upper line and bottom of the lower one.
    """
    return float(_library.visavis_pose_lips(rest, *fields, rows, points, weights, *lines, extent))


def line_heights(line: int, points: int, left: int, top: int, width: int, heights: int) -> None:
    """Write the height of a line of `points` in `width` columns from px `left` on, px below `top`, into `heights`.

    `line`, `heights`: addresses of float32 arrays. Where the line goes back to the left, x counts as if it stood still.
    """
    _library.visavis_line_heights(line, points, left, top, width, heights)


def join_layers(
    nodes: int, across: int, down: int, line: int, points: int, lower: int, both: int, both_across: int
) -> None:
    """Copy the places of the lower layer into those of both layers, wherever a node of the mouth lies below a line.

    All arrays are float32, given by their addresses. `nodes`: positions in the picture, (down, across, 2). `line`:
    (points, 2). `lower`: the lower layer's places, shaped like `nodes`. `both`: from the mouth's first node on, in rows
    of `both_across` nodes.
    """
    _library.visavis_join_layers(nodes, across, down, line, points, lower, both, both_across)


def shade_columns(opening: Opening, shading: Shading) -> None:
    """Fill the columns of an opening from its edges: all but `upper` and `lower`."""
    _library.visavis_shade_columns(ctypes.byref(opening), ctypes.byref(shading))


def find_sources(
    sources: Sources, face_weights: int, mouth_weights: int, *, speaks: bool, rounds: tuple[int, int, int]
) -> None:
    """Find the places in the texture of all nodes for the weights of a frame (addresses of float32 arrays).

    `rounds`: of substitution (see `invert`) for the whole grid, and for the upper and the lower layer of the mouth. A
    mouth that does not speak has weights of 0.
    """
    _library.visavis_find_sources(ctypes.byref(sources), face_weights, mouth_weights, int(speaks), *rounds, _PORTABLE)


def draw_opening(opening: Opening) -> None:
    """Draw the inside of the mouth between the lips into the pixels of `opening`."""
    _library.visavis_draw_opening(ctypes.byref(opening))


def write_planes(
    pixels: int, width: int, height: int, transparency: int, planes: Sequence[int], strides: Sequence[int]
) -> None:
    """Write pixels, uint8 (height, width, 4), into a picture wherever their transparency is at most `transparency`.

    `pixels`: their address. `planes`: where they begin in the planes Y, U and V; `strides`: bytes from row to row of
    each. Width and height are even.
    """
    _library.visavis_write_planes(pixels, width, height, transparency, (_P * 3)(*planes), (_I * 3)(*strides))


def weighted_sum(
    weights: NDArray[np.float32], fields: NDArray[np.float32], out: NDArray[np.float32], *, add: bool = False
) -> None:
    """Write the sum of the rows of `fields` (k, n), weighted by `weights` (k,), into `out` (n,); with `add`, add it.

    All arrays are float32 and contiguous.
    """
    assert weights.flags.c_contiguous and weights.dtype == fields.dtype == out.dtype == np.float32
    _library.visavis_weighted_sum(
        address(weights), address(fields), fields.shape[0], fields.shape[1], address(out), int(add), _PORTABLE
    )


def invert(
    field: NDArray[np.float32],
    cell: int,
    rounds: int,
    rest: NDArray[np.float32] | None,
    zoom: float,
    work: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:
    """Invert the forward displacements F = `field` (ny, nx, 2), px: solve u(q) = F(q - u(q)).

    Write u into `out`, or `rest` - zoom * u if `rest` is given. Substitution is repeated for `rounds`. It converges if
    F stretches less than twofold, as the fields of a face do; four to six rounds bring the error under 0.1 px. `work`:
    from `invert_scratch`. All arrays are float32 and contiguous, `rest` and `out` shaped like `field`.
    """
    ny, nx = field.shape[:2]
    _library.visavis_invert(
        address(field), nx, ny, cell, rounds, None if rest is None else address(rest), zoom, address(work), address(out)
    )


def turn_eye(gaze: Gaze, by_px: tuple[float, float], part: NDArray[np.uint8]) -> None:
    """Write an open eye into `part` (h, w, 4), whose eyeball is moved by `by_px`, x and y."""
    _library.visavis_turn_eye(ctypes.byref(gaze), *by_px, address(part), part.strides[0])


def paint_lids(lids: Lids, part: NDArray[np.uint8]) -> None:
    """Paint the lids of an eye into `part` (h, w, 4) of a texture."""
    _library.visavis_paint_lids(ctypes.byref(lids), address(part), part.strides[0])


class FoldMaps:
    """What `paint_folds` sums: the luma of a part of a texture, and maps that change it, float32 (h, w) each. Changes
    of less than UNSEEN_CHANGE levels count as none.
    """

    def __init__(self, luma: NDArray[np.float32], changes: Sequence[NDArray[np.float32]]) -> None:
        maps = [np.where(np.abs(change) < UNSEEN_CHANGE, 0, change) for change in changes]
        changed = np.logical_or.reduce([change != 0 for change in maps])
        spans = np.zeros((len(luma), 2), np.int32)
        for span, row in zip(spans, changed, strict=True):
            if row.any():
                places = np.flatnonzero(row)
                span[:] = places[0], places[-1] + 1
        self._kept = [np.ascontiguousarray(array, np.float32) for array in (luma, *maps)], spans
        self.height, self.width = luma.shape
        self.luma, self.spans = address(self._kept[0][0]), address(spans)
        self.changes = (_P * len(maps))(*(address(array) for array in self._kept[0][1:]))


def paint_folds(maps: FoldMaps, depths: Sequence[float], part: NDArray[np.uint8]) -> None:
    """Write the luma of `part` (h, w, 4) of a texture: that of the maps and the share `depths` of each change."""
    shares = (_F * len(depths))(*depths)
    _library.visavis_paint_folds(
        maps.luma,
        maps.changes,
        shares,
        maps.spans,
        len(depths),
        maps.width,
        maps.height,
        address(part),
        part.strides[0],
    )


def check_layout(
    library: ctypes.CDLL, structs: Sequence[type[ctypes.Structure]] = STRUCTS, *, report: str = "visavis_layout"
) -> None:
    """Raise an ImportError that names the struct if `library` was compiled with another layout than its mirror in
    Python. `report`: the function of the library that tells the layouts.
    """
    if not hasattr(library, report):
        raise ImportError("the drawing kernels are older than this program: install the package again (make setup)")
    tell = getattr(library, report)
    tell.argtypes, tell.restype = [ctypes.c_char_p, ctypes.POINTER(_I)], _I
    for struct in structs:
        fields = [(f"{struct.__name__}.{name}", getattr(struct, name)) for name, *_ in struct._fields_]
        layout = {name: (field.offset, field.size) for name, field in fields}
        for name, expected in {struct.__name__: (0, ctypes.sizeof(struct)), **layout}.items():
            size = _I(0)
            actual = tell(name.encode(), ctypes.byref(size)), size.value
            if actual != expected:
                raise ImportError(
                    f"the drawing kernels were compiled with another struct {struct.__name__}: {name} has "
                    f"(offset, size) {actual}, not {expected}; install the package again (make setup)"
                )


def library_path() -> Path:
    """Return the file of the library with all that was compiled. Raises ImportError if there is none."""
    spec = find_spec(LIBRARY)
    places = [Path(place) / "kernels.so" for place in (spec.submodule_search_locations or [])] if spec else []
    path = next((place for place in places if place.exists()), None)
    if path is None:
        raise ImportError("the drawing kernels are not built: install the package (make setup), which compiles them")
    return path


def load_library() -> ctypes.CDLL:
    """Return the library. Raises ImportError if there is none."""
    return ctypes.CDLL(str(library_path()))


def _load() -> ctypes.CDLL:
    library = load_library()
    check_layout(library)
    library.visavis_draw_strips.argtypes = [_P, _I, _P, _P, _F, _P, _I, _P, _I]
    library.visavis_draw_strips.restype = _I
    library.visavis_draw_lips.argtypes = [_P, _P, _P, _P, _P, _I]
    library.visavis_draw_opening.argtypes = [_P]
    library.visavis_write_planes.argtypes = [_P, _I, _I, _I, _P, _P]
    library.visavis_weighted_sum.argtypes = [_P, _P, _I, _I, _P, _I, _I]
    library.visavis_invert.argtypes = [_P, _I, _I, _I, _I, _P, _F, _P, _P]
    library.visavis_find_sources.argtypes = [_P, _P, _P, _I, _I, _I, _I, _I]
    library.visavis_pose_lips.argtypes = [_P, _P, _P, _I, _I, _P, _P, _P, _P, _P]
    library.visavis_pose_lips.restype = _F
    library.visavis_line_heights.argtypes = [_P, _I, _I, _I, _I, _P]
    library.visavis_join_layers.argtypes = [_P, _I, _I, _P, _I, _P, _P, _I]
    library.visavis_shade_columns.argtypes = [_P, _P]
    library.visavis_turn_eye.argtypes = [_P, _F, _F, _P, _I]
    library.visavis_paint_lids.argtypes = [_P, _P, _I]
    library.visavis_paint_folds.argtypes = [_P, _P, _P, _P, _I, _I, _I, _P, _I]
    for function in (
        "visavis_draw_lips",
        "visavis_draw_opening",
        "visavis_write_planes",
        "visavis_weighted_sum",
        "visavis_invert",
        "visavis_find_sources",
        "visavis_line_heights",
        "visavis_join_layers",
        "visavis_shade_columns",
        "visavis_paint_folds",
        "visavis_paint_lids",
        "visavis_turn_eye",
    ):
        getattr(library, function).restype = None
    return library


_library = _load()
