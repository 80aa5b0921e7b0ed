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
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

LIBRARY = "visavis_native"
BORDER_TEXELS = 2  # around a texture; part of its array
SLACK = 16  # the same as in lookup.h

_P, _I, _F = ctypes.c_void_p, ctypes.c_int32, ctypes.c_float
# 1: use only portable C and no AVX2. Tests and benchmarks compare both.
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


STRUCTS: tuple[type[ctypes.Structure], ...] = (Grid, Texture, Strip, Lips, Patch, Opening)


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
    changed: NDArray[np.int32],
    scratch: NDArray[np.float32],
) -> int:
    """Draw the strips in which a node has moved by more than `threshold` texture px, and those that touch the rows
    `changed`. Return how many were drawn.

    `changed`: int32 (n, 2), (first, end) of rows, px from the beginning of the grid. `scratch`: from `row_scratch`.
    """
    pointers = ctypes.byref(grid), ctypes.byref(texture)
    return int(
        _library.visavis_draw_strips(
            strips, len(strips), *pointers, threshold, address(changed), len(changed), address(scratch), _PORTABLE
        )
    )


def draw_lips(lips: Lips, upper: Grid, lower: Grid, texture: Texture, scratch: NDArray[np.float32]) -> None:
    """Look up both lips: the upper layer above the line between them, the lower layer below it.

    `upper`, `lower`: the places in the texture of the nodes of both layers. `scratch`: from `row_scratch`.
    """
    _library.visavis_draw_lips(
        ctypes.byref(lips), ctypes.byref(upper), ctypes.byref(lower), ctypes.byref(texture), address(scratch), _PORTABLE
    )


def draw_opening(opening: Opening) -> None:
    """Draw the inside of the mouth between the lips into the pixels of `opening`."""
    _library.visavis_draw_opening(ctypes.byref(opening))


def write_planes(pixels: NDArray[np.uint8], transparency: int, planes: tuple[NDArray[np.uint8], ...]) -> None:
    """Write `pixels`, uint8 (h, w, 4), into a picture wherever their transparency is at most `transparency`.

    `planes`: views of the planes Y (h, w), U and V (h / 2, w / 2); h and w are even.
    """
    height, width = pixels.shape[:2]
    _library.visavis_write_planes(
        address(pixels),
        width,
        height,
        transparency,
        (_P * 3)(*(address(plane) for plane in planes)),
        (_I * 3)(*(plane.strides[0] for plane in planes)),
    )


def weighted_sum(
    weights: NDArray[np.float32], fields: NDArray[np.float32], out: NDArray[np.float32], *, add: bool = False
) -> None:
    """Write the sum of the rows of `fields` (k, n), weighted by `weights` (k,), into `out` (n,); with `add`, add it.

    All arrays are float32 and contiguous.
    """
    assert weights.flags.c_contiguous and weights.dtype == fields.dtype == out.dtype == np.float32
    _library.visavis_weighted_sum(
        address(weights), address(fields), fields.shape[0], fields.shape[1], address(out), int(add)
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


def check_layout(library: ctypes.CDLL, structs: Sequence[type[ctypes.Structure]] = STRUCTS) -> None:
    """Raise an ImportError that names the struct if `library` was compiled with another layout than its mirror here."""
    if not hasattr(library, "visavis_layout"):
        raise ImportError("the drawing kernels are older than this program: install the package again (make setup)")
    library.visavis_layout.argtypes, library.visavis_layout.restype = [ctypes.c_char_p, ctypes.POINTER(_I)], _I
    for struct in structs:
        fields = [(f"{struct.__name__}.{name}", getattr(struct, name)) for name, *_ in struct._fields_]
        layout = {name: (field.offset, field.size) for name, field in fields}
        for name, expected in {struct.__name__: (0, ctypes.sizeof(struct)), **layout}.items():
            size = _I(0)
            actual = library.visavis_layout(name.encode(), ctypes.byref(size)), size.value
            if actual != expected:
                raise ImportError(
                    f"the drawing kernels were compiled with another struct {struct.__name__}: {name} has "
                    f"(offset, size) {actual}, not {expected}; install the package again (make setup)"
                )


def _load() -> ctypes.CDLL:
    spec = find_spec(LIBRARY)
    places = [Path(place) / "kernels.so" for place in (spec.submodule_search_locations or [])] if spec else []
    path = next((place for place in places if place.exists()), None)
    if path is None:
        raise ImportError("the drawing kernels are not built: install the package (make setup), which compiles them")
    library = ctypes.CDLL(str(path))
    check_layout(library)
    library.visavis_draw_strips.argtypes = [_P, _I, _P, _P, _F, _P, _I, _P, _I]
    library.visavis_draw_strips.restype = _I
    library.visavis_draw_lips.argtypes = [_P, _P, _P, _P, _P, _I]
    library.visavis_draw_opening.argtypes = [_P]
    library.visavis_write_planes.argtypes = [_P, _I, _I, _I, _P, _P]
    library.visavis_weighted_sum.argtypes = [_P, _P, _I, _I, _P, _I]
    library.visavis_invert.argtypes = [_P, _I, _I, _I, _I, _P, _F, _P, _P]
    for function in (
        "visavis_draw_lips",
        "visavis_draw_opening",
        "visavis_write_planes",
        "visavis_weighted_sum",
        "visavis_invert",
    ):
        getattr(library, function).restype = None
    return library


_library = _load()
