"""Photos for the tests: NASA's portrait of Eileen Collins (public domain, 512 x 512, a smile with teeth) and what
becomes of it in the wild.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from functools import cache

import numpy as np
import skimage.data
from PIL import Image

from visavis.engine.errors import Reason

WALL = (120, 135, 150)


@cache
def portrait(side_px: int = 512) -> Image.Image:
    picture = Image.fromarray(skimage.data.astronaut())
    return picture if side_px == 512 else picture.resize((side_px, side_px), Image.Resampling.LANCZOS)


def profile() -> Image.Image:
    """A man seen from the side (Lav Varshney's cameraman, CC0)."""
    return Image.fromarray(skimage.data.camera())


def cat() -> Image.Image:
    return Image.fromarray(skimage.data.chelsea())


def encoded(picture: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def on_wall(width_px: int, height_px: int, *placed: tuple[Image.Image, tuple[int, int]]) -> Image.Image:
    wall = Image.new("RGB", (width_px, height_px), WALL)
    for picture, place in placed:
        wall.paste(picture, place)
    return wall


def with_exif_orientation(orientation: int) -> bytes:
    """The portrait stored as a camera held that way stores it."""
    stored = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(portrait().transpose(stored), quality=95, exif=exif)


def see_through() -> Image.Image:
    """The portrait with everything but a disc transparent."""
    picture = portrait().convert("RGBA")
    y, x = np.mgrid[0:512, 0:512]
    disc = (((x - 225) / 170) ** 2 + ((y - 200) / 230) ** 2 < 1).astype(np.uint8) * 255
    picture.putalpha(Image.fromarray(disc))
    return picture


def png_claiming(width_px: int, height_px: int) -> bytes:
    """A PNG of a few bytes that says it is that large."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width_px, height_px, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def gif_claiming(screen_px: int, frame_px: int) -> bytes:
    """A GIF of a few bytes whose screen, or whose first frame, is that large."""
    screen = b"GIF89a" + struct.pack("<HH", screen_px, screen_px) + b"\x80\x00\x00\x00\x00\x00\xff\xff\xff"
    return screen + b"," + struct.pack("<HHHH", 0, 0, frame_px, frame_px) + b"\x00\x08\x02\x01\x01\x00;"


def animated_gif(frames: int) -> bytes:
    """The portrait, then `frames` empty walls."""
    walls = [Image.new("RGB", (512, 512), (i, i, i)) for i in range(frames)]
    return encoded(portrait().quantize(64), "GIF", save_all=True, append_images=walls)


REFUSED_BEFORE_LOOKING: dict[str, tuple[Callable[[], bytes], Reason]] = {
    "nothing": (lambda: b"", Reason.UNREADABLE),
    "text": (lambda: b"hello", Reason.UNKNOWN_TYPE),
    "svg": (lambda: b'<svg xmlns="http://www.w3.org/2000/svg"/>', Reason.UNKNOWN_TYPE),
    "html": (lambda: b"<!doctype html><img src=x>", Reason.UNKNOWN_TYPE),
    "pdf": (lambda: b"%PDF-1.7\n", Reason.UNKNOWN_TYPE),
    "bmp": (lambda: encoded(portrait(), "BMP"), Reason.UNKNOWN_TYPE),
    "tiff": (lambda: encoded(portrait(), "TIFF"), Reason.UNKNOWN_TYPE),
    "jpeg_in_name_only": (lambda: b"\xff\xd8\xff\xe0" + b"no picture" * 50, Reason.UNREADABLE),
    "jpeg_truncated": (lambda: encoded(portrait())[:9000], Reason.UNREADABLE),
    "png_truncated": (lambda: encoded(portrait(), "PNG")[:90_000], Reason.UNREADABLE),
    "gif_truncated": (lambda: encoded(portrait().quantize(64), "GIF")[:30_000], Reason.UNREADABLE),
    "webp_truncated": (lambda: encoded(portrait(), "WEBP")[:8000], Reason.UNREADABLE),
    "png_of_no_size": (lambda: png_claiming(0, 0), Reason.UNREADABLE),
    "png_without_pixels": (lambda: png_claiming(600, 600), Reason.UNREADABLE),
    "png_bomb": (lambda: png_claiming(60_000, 60_000), Reason.TOO_LARGE),
    "png_just_too_large": (lambda: png_claiming(9000, 9000), Reason.TOO_LARGE),
    "gif_screen_bomb": (lambda: gif_claiming(65_000, 5), Reason.TOO_LARGE),
    "gif_frame_bomb": (lambda: gif_claiming(5, 65_000), Reason.TOO_LARGE),
    "too_many_bytes": (lambda: b"\xff\xd8\xff" + b"0" * 10_000_000, Reason.TOO_LARGE),
}
