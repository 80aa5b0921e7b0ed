"""A matte that follows the colours of the photo: Levin, Lischinski & Weiss 2008, "A Closed-Form Solution to Natural
Image Matting".

The method assumes that in every 3 x 3 window, opacity is a linear function of colour. It finds the unknown opacities
that satisfy this best, given the known ones on both sides. Hair is matted strand by strand, and an ear of one colour is
either all inside or all outside.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

# A window counts as having at least this variance of colour (range 0 to 1): grain says nothing about opacity.
EPS = 1e-4
PRIOR = 0.02  # weight of the guess for an unknown pixel; about nine windows weigh against it
ITERATIONS = 60  # most steps of conjugate gradients
CLOSE_ENOUGH = 3e-3  # they stop at this residual, relative to the residual of the guess
RIM = 3  # px around the picture that a stencil may reach
_SIDE = np.arange(9)
_DY, _DX = _SIDE // 3 - 1, _SIDE % 3 - 1


def closed_form(image: Array, guess: Array, unknown: NDArray[np.bool_]) -> Array:
    """Return opacities, float32 (H, W), 0 to 1: the `guess` where they are known, and where they are `unknown` those
    that fit the colours of `image`, (H, W, 3), 0 to 1.
    """
    if not unknown.any():
        return guess.copy()
    # With a rim, every px has neighbours. Only windows within the picture count.
    image = cv2.copyMakeBorder(image, RIM, RIM, RIM, RIM, cv2.BORDER_REFLECT_101)
    padded = cv2.copyMakeBorder(guess, RIM, RIM, RIM, RIM, cv2.BORDER_REFLECT_101)
    inner = cv2.copyMakeBorder(unknown.astype(np.uint8), RIM, RIM, RIM, RIM, cv2.BORDER_CONSTANT, value=(0,))
    height, width = padded.shape
    touched = cv2.dilate(inner, np.ones((3, 3), np.uint8))
    within = np.zeros_like(touched)
    within[RIM + 1 : -RIM - 1, RIM + 1 : -RIM - 1] = 1
    centres = np.flatnonzero(touched & within)
    at = np.flatnonzero(inner)
    members = centres[:, None] + (_DY * width + _DX)[None, :]
    affinities = _affinities(image.reshape(-1, 3)[members])
    # Row i of `stencil` holds the weights between unknown px i and the 5 x 5 px around it.
    row_of = np.full(height * width, -1, np.int64)
    row_of[at] = np.arange(len(at))
    rows = np.broadcast_to(row_of[members][:, :, None], affinities.shape)
    step_y, step_x = _DY[None, :] - _DY[:, None], _DX[None, :] - _DX[:, None]
    columns = np.broadcast_to(((step_y + 2) * 5 + step_x + 2)[None], affinities.shape)
    kept = rows >= 0
    stencil = (
        np.bincount((rows * 25 + columns)[kept], weights=affinities[kept], minlength=25 * len(at))
        .reshape(-1, 25)
        .astype(np.float32)
    )
    reach = np.arange(25)
    neighbours = at[:, None] + ((reach // 5 - 2) * width + reach % 5 - 2)[None, :]
    return _solve(padded, at, neighbours, stencil)[RIM:-RIM, RIM:-RIM].copy()


def _affinities(colours: Array) -> Array:
    """Return what each window (n, 9, 3) adds to the matting Laplacian, float32 (n, 9, 9); Levin's equation 12."""
    centred = colours - colours.mean(axis=1, keepdims=True)
    across = np.ascontiguousarray(centred.transpose(0, 2, 1))
    covariance = across @ centred / np.float32(9.0) + np.float32(EPS) * np.eye(3, dtype=np.float32)
    alike = centred @ (np.linalg.inv(covariance) @ across)
    laplacian: Array = np.eye(9, dtype=np.float32) - (alike + np.float32(1.0)) / np.float32(9.0)
    return laplacian


def _solve(guess: Array, at: NDArray[np.intp], neighbours: NDArray[np.intp], stencil: Array) -> Array:
    """Solve by conjugate gradients, with the diagonal as preconditioner, for the unknown px `at`. All others keep the
    guess.
    """
    whole = guess.ravel().copy()
    wanted = whole[at].copy()
    diagonal = stencil[:, 12] + np.float32(PRIOR)

    def times(values: Array) -> Array:
        products: Array = np.einsum("ij,ij->i", stencil, values[neighbours])
        return products

    x = wanted.copy()
    rest = PRIOR * wanted - (times(whole) + PRIOR * x)
    moving = np.zeros_like(whole)
    z = rest / diagonal
    way, strength = z.copy(), float(rest @ z)
    first = strength
    for _ in range(ITERATIONS):
        if strength <= CLOSE_ENOUGH**2 * first:
            break
        moving[at] = way
        felt = times(moving) + PRIOR * way
        length = np.float32(strength / float(way @ felt))
        x += length * way
        rest -= length * felt
        z = rest / diagonal
        new = float(rest @ z)
        way = z + np.float32(new / strength) * way
        strength = new
    whole[at] = np.clip(x, 0.0, 1.0)
    return whole.reshape(guess.shape)
