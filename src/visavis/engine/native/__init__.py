"""The kernels: what is done for every pixel of every frame, compiled from the C beside this when the package is
installed (decision 15).

Arrays are handed over as pointers: whoever calls keeps them alive, contiguous (rows apart by their stride where a
function takes one) and of the type that is named. No call keeps a pointer; every call gives the interpreter free for
others. The same arguments give the same bytes on every machine.
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
FRAME_PX = 2  # of texels about a texture, that belong to it
SLACK = 16

_P, _I, _F = ctypes.c_void_p, ctypes.c_int32, ctypes.c_float
_PLAIN = int(os.environ.get("VISAVIS_PLAIN_KERNELS", "0") == "1")  # without AVX2: for comparing


class Grid(ctypes.Structure):
    """Pairs at the nodes of a warp.Grid: `nodes` float32 (ny, nx, 2), `across` nx, `cell` px."""

    _fields_ = [("nodes", _P), ("across", _I), ("cell", _I)]


class Texture(ctypes.Structure):
    """Y, U, V and transparency, uint8 (height, width, 4), within FRAME_PX of further texels; `texels` that of (0, 0),
    `stride` bytes a row.
    """

    _fields_ = [("texels", _P), ("stride", _I), ("width", _I), ("height", _I)]

    @classmethod
    def of(cls, texture: NDArray[np.uint8]) -> Texture:
        """`texture`: what `framed` returned."""
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
        ("face", _P),
    ]


class Patch(ctypes.Structure):
    """See structs.h."""

    _fields_ = [("yuva", _P), ("width", _I), ("height", _I), ("x", _F), ("y", _F), ("light", _F)]


class Opening(ctypes.Structure):
    """See structs.h."""

    _fields_ = [
        ("face", _P),
        *((name, _I) for name in ("face_width", "face_height", "left", "top", "width", "height", "fresh_rows")),
        *(
            (name, _P)
            for name in ("upper", "lower", "across_upper", "across_lower", "fresh", "rolled", "light", "shadow")
        ),
        *((name, _F) for name in ("shadow_depth", "shadow_fall", "edge", "soft_edge")),
        ("lip_upper", _F * 4),
        ("lip_lower", _F * 4),
        ("cosine", _F),
        ("sine", _F),
        ("patches", ctypes.POINTER(Patch)),
        ("patch_count", _I),
    ]


STRUCTS: tuple[type[ctypes.Structure], ...] = (Grid, Texture, Strip, Lips, Patch, Opening)


def address(array: NDArray[np.generic]) -> int:
    return array.ctypes.data


def framed(texture: NDArray[np.uint8], border: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    """Return a copy of `texture` (h, w, 4) within FRAME_PX of `border`: a view of the inner part, writable."""
    height, width = texture.shape[:2]
    whole = np.empty((height + 2 * FRAME_PX, width + 2 * FRAME_PX, 4), np.uint8)
    whole[:] = border
    inner = whole[FRAME_PX:-FRAME_PX, FRAME_PX:-FRAME_PX]
    inner[:] = texture
    return inner


def scratch_for(width: int, cell: int) -> NDArray[np.float32]:
    """Return what a call for boxes up to `width` px needs to work in."""
    return np.empty(6 * (width + 2 * (SLACK + cell)), np.float32)


def work_for(nx: int, ny: int) -> NDArray[np.float32]:
    """Return what `invert` needs to work in, for grids up to this size."""
    return np.empty(4 * nx * ny + 3 * nx, np.float32)


def draw(
    strips: ctypes.Array[Strip],
    grid: Grid,
    texture: Texture,
    still_by: float,
    changed: NDArray[np.int32],
    scratch: NDArray[np.float32],
) -> int:
    """Draw the strips in which a node has moved by more than `still_by` texture px, and those that touch rows that have
    `changed`, int32 (n, 2): from which to which, px from the beginning of the grid. Return how many were drawn.
    """
    pointers = ctypes.byref(grid), ctypes.byref(texture)
    return int(
        _library.visavis_draw(
            strips, len(strips), *pointers, still_by, address(changed), len(changed), address(scratch), _PLAIN
        )
    )


def skin(lips: Lips, upper: Grid, lower: Grid, texture: Texture, scratch: NDArray[np.float32]) -> None:
    """Look both lips up, each on its side of the line between them."""
    _library.visavis_skin(
        ctypes.byref(lips), ctypes.byref(upper), ctypes.byref(lower), ctypes.byref(texture), address(scratch), _PLAIN
    )


def open_mouth(opening: Opening) -> None:
    """Draw what is seen between the lips into the face of `opening`."""
    _library.visavis_open(ctypes.byref(opening))


def settle(face: NDArray[np.uint8], clear: int, planes: tuple[NDArray[np.uint8], ...]) -> None:
    """Put `face`, uint8 (h, w, 4), even, into the views `planes` of a picture, (h, w) and twice (h / 2, w / 2), where
    it is no clearer than `clear`.
    """
    height, width = face.shape[:2]
    _library.visavis_settle(
        address(face),
        width,
        height,
        clear,
        (_P * 3)(*(address(plane) for plane in planes)),
        (_I * 3)(*(plane.strides[0] for plane in planes)),
    )


def total(
    weights: NDArray[np.float32], fields: NDArray[np.float32], out: NDArray[np.float32], *, add: bool = False
) -> None:
    """Write the sum of `fields` (k, n), weighted, into `out` (n,), or on top of what is there. float32, contiguous."""
    assert weights.flags.c_contiguous and weights.dtype == fields.dtype == out.dtype == np.float32
    _library.visavis_total(address(weights), address(fields), fields.shape[0], fields.shape[1], address(out), int(add))


def invert(
    field: NDArray[np.float32],
    cell: int,
    rounds: int,
    rest: NDArray[np.float32] | None,
    zoom: float,
    work: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:
    """Write into `out` (ny, nx, 2) u(q) = F(q - u(q)) for the forward displacements `field` of the same shape, or
    `rest` - zoom * u.

    `rounds` of repeated substitution: it converges where F stretches less than twofold, as the fields of a face do;
    four to six rounds bring it under a tenth of a px. `work`: what `work_for` returned. All float32, contiguous.
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
    library.visavis_draw.argtypes = [_P, _I, _P, _P, _F, _P, _I, _P, _I]
    library.visavis_draw.restype = _I
    library.visavis_skin.argtypes = [_P, _P, _P, _P, _P, _I]
    library.visavis_open.argtypes = [_P]
    library.visavis_settle.argtypes = [_P, _I, _I, _I, _P, _P]
    library.visavis_total.argtypes = [_P, _P, _I, _I, _P, _I]
    library.visavis_invert.argtypes = [_P, _I, _I, _I, _I, _P, _F, _P, _P]
    for function in ("visavis_skin", "visavis_open", "visavis_settle", "visavis_total", "visavis_invert"):
        getattr(library, function).restype = None
    return library


_library = _load()
