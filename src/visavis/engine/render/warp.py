"""The coarse grid of nodes at which displacements are known. The kernels (engine/native) interpolate between them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Grid:
    """nx by ny nodes, `cell` px apart: node (i, j) is at x = x0 + i * cell + (cell - 1) / 2, the same for y.

    A node is in the middle of its cell, so all px lie between nodes, except half a cell at the rim.
    """

    x0: int
    y0: int
    nx: int
    ny: int
    cell: int

    @classmethod
    def over(cls, left: int, top: int, right: int, bottom: int, cell: int) -> Grid:
        """Return a grid over the px [left, right) x [top, bottom), with a spare cell on every side."""
        nx = -(-(right - left) // cell) + 2
        ny = -(-(bottom - top) // cell) + 2
        return cls(left - cell, top - cell, nx, ny, cell)

    def nodes(self) -> tuple[Array, Array]:
        """Return the positions of the nodes in px: x, y, each float32 (ny, nx)."""
        x = self.x0 + np.arange(self.nx, dtype=np.float32) * self.cell + (self.cell - 1) / 2
        y = self.y0 + np.arange(self.ny, dtype=np.float32) * self.cell + (self.cell - 1) / 2
        gx, gy = np.meshgrid(x, y)
        return gx.astype(np.float32), gy.astype(np.float32)

    def part(self, left: int, top: int, right: int, bottom: int) -> tuple[slice, slice, Grid]:
        """Return the rows, the columns and the grid of the nodes over [left, right) x [top, bottom), with a spare node
        on every side.
        """
        i0, j0 = max(0, (left - self.x0) // self.cell - 1), max(0, (top - self.y0) // self.cell - 1)
        i1 = min(self.nx, (right - self.x0) // self.cell + 3)
        j1 = min(self.ny, (bottom - self.y0) // self.cell + 3)
        return (
            slice(j0, j1),
            slice(i0, i1),
            Grid(self.x0 + i0 * self.cell, self.y0 + j0 * self.cell, i1 - i0, j1 - j0, self.cell),
        )

    def under(self, left: int, top: int, right: int, bottom: int) -> tuple[slice, slice, Grid]:
        """Return the same without spare nodes: only those between which the px of [left, right) x [top, bottom) lie."""
        half = (self.cell - 1) / 2  # a node is in the middle of its cell
        i0, j0 = (max(0, int((at - origin - half) // self.cell)) for at, origin in ((left, self.x0), (top, self.y0)))
        i1 = min(self.nx, int((right - 1 - self.x0 - half) // self.cell) + 2)
        j1 = min(self.ny, int((bottom - 1 - self.y0 - half) // self.cell) + 2)
        return (
            slice(j0, j1),
            slice(i0, i1),
            Grid(self.x0 + i0 * self.cell, self.y0 + j0 * self.cell, i1 - i0, j1 - j0, self.cell),
        )
