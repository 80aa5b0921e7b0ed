"""The backdrops of the 3D figures: far out of focus, drawn in linear light, then blurred with the disc of a lens. No
photo is used.

Each backdrop is a function of width, height (pixels) and a random generator. It returns float sRGB (height, width, 3)
in 0..1.
"""

from __future__ import annotations

import numpy as np

Array = np.ndarray


def grid(width: int, height: int) -> tuple[Array, Array]:
    """Return the x and y of every pixel; both run from 0 to 1, y downwards."""
    y, x = np.mgrid[0:height, 0:width]
    return x / width, y / height


def soft(edge: Array, width: float) -> Array:
    t = np.clip(edge / width + 0.5, 0, 1)
    return t * t * (3 - 2 * t)


def cloud(width: int, height: int, rng: np.random.Generator, scale: float) -> Array:
    """Return smooth noise in about -1..1. `scale`: size of its grain, as a part of the width."""
    spectrum = np.fft.rfft2(rng.normal(size=(height, width)))
    fy, fx = np.fft.fftfreq(height)[:, None] * width, np.fft.rfftfreq(width)[None] * width
    out = np.fft.irfft2(spectrum * np.exp(-0.5 * (np.hypot(fx, fy) * scale * 2) ** 2), (height, width))
    return out / (np.abs(out).max() + 1e-9)


def box(image: Array, left: float, top: float, right: float, bottom: float, colour: tuple, amount: float = 1.0) -> None:
    x, y = grid(image.shape[1], image.shape[0])
    inside = (soft(x - left, 0.004) * soft(right - x, 0.004) * soft(y - top, 0.005) * soft(bottom - y, 0.005) * amount)[
        ..., None
    ]
    image[:] = image * (1 - inside) + np.array(colour) * inside


def disc_blur(image: Array, radius_px: float) -> Array:
    """Blur linear light with a disc, so that highlights become discs as with a portrait lens."""
    pad = int(radius_px * 2)
    padded = np.pad(image, ((pad, pad), (pad, pad), (0, 0)), mode="edge")
    height, width = padded.shape[:2]
    y, x = np.meshgrid(np.fft.fftfreq(height) * height, np.fft.fftfreq(width) * width, indexing="ij")
    disc = np.clip(radius_px + 0.5 - np.hypot(x, y), 0, 1)
    kernel = np.fft.rfft2(disc / disc.sum())
    out = np.stack([np.fft.irfft2(np.fft.rfft2(padded[..., c]) * kernel, (height, width)) for c in range(3)], -1)
    return np.maximum(out[pad:-pad, pad:-pad], 0)


def to_srgb(linear: Array) -> Array:
    """Convert linear light to sRGB, with a soft shoulder for highlights."""
    linear = np.maximum(linear, 0)
    rolled = np.where(linear > 0.7, 0.7 + 0.3 * np.tanh((linear - 0.7) / 0.3), linear)
    return np.clip(
        np.where(rolled < 0.0031308, 12.92 * rolled, 1.055 * np.maximum(rolled, 1e-9) ** (1 / 2.4) - 0.055), 0, 1
    )


def studio(
    width: int, height: int, rng: np.random.Generator, inner: tuple, outer: tuple, centre: tuple = (0.46, 0.42)
) -> Array:
    """A painted paper wall with a glow on it."""
    x, y = grid(width, height)
    far = np.hypot((x - centre[0]) * 1.15, (y - centre[1]) * 0.95)
    amount = soft(far + 0.05 * cloud(width, height, rng, 0.05) - 0.36, 0.72)[..., None]
    return to_srgb(np.array(inner) * (1 - amount) + np.array(outer) * amount)


def office(width: int, height: int, rng: np.random.Generator) -> Array:
    """A bright room: window on the left, shelf and plant on the right."""
    x, _ = grid(width, height)
    image = np.ones((height, width, 3)) * [0.46, 0.44, 0.41] * (1.05 - 0.35 * x[..., None])
    for i in range(2):
        for j in range(3):
            box(image, 0.015 + 0.155 * i, 0.02 + 0.27 * j, 0.155 + 0.155 * i, 0.27 + 0.27 * j, (0.92, 0.98, 1.0))
            box(image, 0.015 + 0.155 * i, 0.15 + 0.27 * j, 0.155 + 0.155 * i, 0.27 + 0.27 * j, (0.62, 0.75, 0.70), 0.55)
    box(image, 0.34, 0.0, 0.40, 0.95, (0.60, 0.57, 0.52))
    for k, top in enumerate((0.14, 0.38, 0.62)):
        box(image, 0.70, top + 0.19, 1.0, top + 0.205, (0.30, 0.20, 0.12))
        left = 0.715
        while left < 0.97:
            wide, tall = rng.uniform(0.010, 0.026), rng.uniform(0.10, 0.17)
            hue = np.array(
                [(0.36, 0.16, 0.10), (0.10, 0.20, 0.26), (0.52, 0.46, 0.36), (0.14, 0.18, 0.14), (0.45, 0.30, 0.14)][
                    rng.integers(5)
                ]
            )
            if rng.uniform() > 0.22:
                box(image, left, top + 0.19 - tall, left + wide, top + 0.19, tuple(hue * rng.uniform(0.7, 1.2)))
            left += wide + 0.003 + 0.03 * (k == 1) * (rng.uniform() > 0.8)
    leaves(image, rng, (0.93, 0.86), 0.20, 46)
    return to_srgb(disc_blur(image, width * 0.024))


def leaves(image: Array, rng: np.random.Generator, foot: tuple, size: float, count: int) -> None:
    """Draw a house plant: ellipses spread like a fan around `foot`."""
    height, width = image.shape[:2]
    x, y = grid(width, height)
    for _ in range(count):
        angle = rng.uniform(-2.7, -0.45)
        reach = size * rng.uniform(0.3, 1.0)
        cx, cy = foot[0] + reach * np.cos(angle) * 0.75, foot[1] + reach * np.sin(angle) * 1.5
        c, s = np.cos(angle), np.sin(angle)
        u, v = (x - cx) * c + (y - cy) * s, -(x - cx) * s + (y - cy) * c
        inside = (soft(1 - (u / (size * 0.26)) ** 2 - (v / (size * 0.09)) ** 2, 0.3) * 0.95)[..., None]
        image[:] = image * (1 - inside) + np.array([0.10, 0.24, 0.09]) * rng.uniform(0.5, 1.7) * inside


def library(width: int, height: int, rng: np.random.Generator) -> Array:
    """Shelves of books in warm lamp light."""
    x, y = grid(width, height)
    image = np.ones((height, width, 3)) * [0.10, 0.060, 0.036]
    palette = [
        (0.30, 0.09, 0.06),
        (0.09, 0.15, 0.18),
        (0.42, 0.30, 0.16),
        (0.10, 0.16, 0.09),
        (0.36, 0.20, 0.09),
        (0.48, 0.42, 0.32),
        (0.16, 0.07, 0.10),
    ]
    for row in range(4):
        base = 0.22 + 0.245 * row
        left = 0.0
        while left < 1.0:
            wide, tall = rng.uniform(0.013, 0.032), rng.uniform(0.13, 0.19)
            box(
                image,
                left,
                base - tall,
                left + wide,
                base,
                tuple(np.array(palette[rng.integers(7)]) * rng.uniform(0.6, 1.3)),
            )
            left += wide + 0.002
        box(image, 0, base, 1, base + 0.022, (0.17, 0.095, 0.05))
    box(image, 0.0, 0.0, 0.018, 1.0, (0.15, 0.085, 0.045))
    image *= (0.55 + 1.5 * np.exp(-(((x - 0.16) / 0.30) ** 2) - ((y - 0.30) / 0.42) ** 2))[..., None] * [
        1.12,
        0.98,
        0.82,
    ]
    lamp = soft(0.055 - np.hypot(x - 0.105, (y - 0.44) * 0.8), 0.01)[..., None]
    image = image * (1 - lamp) + np.array([2.2, 1.55, 0.85]) * lamp
    return to_srgb(disc_blur(image, width * 0.021))


def garden(width: int, height: int, rng: np.random.Generator) -> Array:
    """Trees in the sun: greens with discs of light between the leaves."""
    x, y = grid(width, height)
    tone = 0.5 + 0.5 * cloud(width, height, rng, 0.035) + 0.25 * cloud(width, height, rng, 0.012)
    image = np.array([0.035, 0.085, 0.035]) + np.array([0.26, 0.34, 0.10]) * np.clip(tone, 0, 1.2)[..., None] ** 1.5
    image *= (1.25 - 0.75 * y)[..., None]
    for _ in range(130):
        cx, cy, size = rng.uniform(0, 1), rng.uniform(0, 0.75) ** 1.2, rng.uniform(0.002, 0.005)
        spot = soft(size - np.hypot(x - cx, (y - cy) * height / width), 0.003)[..., None]
        image = image + spot * np.array([1.0, 0.95, 0.55]) * rng.uniform(1, 6)
    return to_srgb(disc_blur(image, width * 0.022) * 1.05)


def evening(width: int, height: int, rng: np.random.Generator) -> Array:
    """A town at dusk through a window: discs of warm and cool light on deep blue."""
    x, y = grid(width, height)
    image = (
        np.array([0.020, 0.035, 0.075]) * (1.6 - y[..., None])
        + np.array([0.16, 0.07, 0.045]) * np.exp(-(((y - 0.62) / 0.25) ** 2))[..., None]
    )
    for _ in range(90):
        cx, cy, size = rng.uniform(0, 1), 0.35 + 0.6 * rng.uniform() ** 0.8, rng.uniform(0.0015, 0.004)
        colour = np.array(
            [(1.0, 0.62, 0.28), (1.0, 0.80, 0.50), (0.55, 0.75, 1.0), (1.0, 0.40, 0.30)][
                rng.choice(4, p=[0.4, 0.35, 0.17, 0.08])
            ]
        )
        spot = soft(size - np.hypot(x - cx, (y - cy) * height / width), 0.002)[..., None]
        image = image + spot * colour * rng.uniform(3, 14)
    return to_srgb(disc_blur(image, width * 0.024))


def sunlit_wall(width: int, height: int, rng: np.random.Generator, colour: tuple) -> Array:
    """A plaster wall in soft, slanting window light."""
    x, y = grid(width, height)
    image = np.ones((height, width, 3)) * np.array(colour) * 0.80
    u, v = x + 0.22 * y, y - 0.16 * x
    light = np.zeros((height, width))
    for i in range(3):
        for j in range(2):
            light += (
                soft(u - 0.05 - 0.30 * i, 0.03)
                * soft(0.31 + 0.30 * i - u, 0.03)
                * soft(v + 0.05 - 0.42 * j, 0.03)
                * soft(0.33 + 0.42 * j - v, 0.03)
            )
    image *= (1 + 0.42 * light * (0.9 - 0.5 * x))[..., None] * np.array([1.03, 1.0, 0.94])
    image *= (1 + 0.03 * cloud(width, height, rng, 0.02))[..., None]
    return to_srgb(disc_blur(image, width * 0.016))


ROOMS = {
    "studio": studio,
    "office": office,
    "library": library,
    "garden": garden,
    "evening": evening,
    "sunlit wall": sunlit_wall,
}


def draw_backdrop(name: str, width: int, height: int, seed: int, **options: object) -> Array:
    return ROOMS[name](width, height, np.random.default_rng(seed), **options)
