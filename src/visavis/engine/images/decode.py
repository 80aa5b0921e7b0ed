"""From untrusted bytes to upright RGB pixels. Runs in the sandbox only: a decoder may be attacked through its image."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps, PngImagePlugin

from visavis.engine.errors import ImageRefused, Reason
from visavis.engine.images.image_type import MAX_PIXELS, image_type
from visavis.engine.images.jpeg import END_OF_IMAGE, START_OF_SCAN, has_end, jpeg_segments
from visavis.engine.images.png import PROFILE_MOST_BYTES, without_text

PngImagePlugin.MAX_TEXT_CHUNK = PROFILE_MOST_BYTES  # counts for profiles too

# A photo is halved as long as its long side stays above this. A full figure of 2600 px has about 80 px between the
# eyes.
WORKING_SIDE_PX = 2600
MAX_SCANS = 100  # of a JPEG. Progressive ones have up to some 20, and each scan goes over the whole picture
LATER_PICTURES = 100  # of an animation
BEHIND_TRANSPARENCY = (222, 222, 222)
SEE_THROUGH_FROM = 0.04  # share of fully transparent pixels; rounded corners alone have less
UNREADABLE = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    ArithmeticError,
    struct.error,
    zlib.error,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodedPhoto:
    """`picture`: uint8 (H, W, 3) sRGB, upright by its EXIF tag; `reduced`: by how much it was scaled down (1, 2, 4
    ...).

    `opacity`: uint8 (H, W), 0 where the picture is transparent; None if it is opaque, or nearly everywhere opaque.
    """

    picture: NDArray[np.uint8]
    reduced: int
    opacity: NDArray[np.uint8] | None


def decode_image(image: bytes) -> DecodedPhoto:
    """Return the first picture in `image`.

    Transparent parts get a light grey background; CMYK, palettes, 16 bit and embedded colour profiles become sRGB.
    Raises ImageRefused: TOO_LARGE (bytes, or pixels claimed, before any is decoded), UNKNOWN_TYPE, UNREADABLE.
    """
    kind = image_type(image)
    if kind == "JPEG":
        image = _judge_jpeg(image)
    elif kind == "PNG":
        image = without_text(image)
    with _refusing(), Image.open(io.BytesIO(image), formats=[kind]) as opened:
        _judge_size(opened.size)
        return _upright_rgb(opened)


def decode_later_pictures(image: bytes) -> Iterator[DecodedPhoto]:
    """Yield the pictures of an animation after the first, up to LATER_PICTURES and as many pixels as one large photo
    has; none of an image that is no animation. Raises what `decode_image` raises.
    """
    kind = image_type(image)
    if kind == "JPEG":  # may hold several pictures, which are other versions of the first
        return
    if kind == "PNG":
        image = without_text(image)
    with _refusing(), Image.open(io.BytesIO(image), formats=[kind]) as opened:
        most = min(LATER_PICTURES, MAX_PIXELS // max(1, opened.width * opened.height))
        for number in range(1, most + 1):
            try:
                opened.seek(number)
            except EOFError:
                return
            _judge_size(opened.size)
            yield _upright_rgb(opened)


@contextmanager
def _refusing() -> Iterator[None]:
    """Turn what decoders raise into refusals."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # damaged metadata and big sizes are warned of; the size is judged here
            yield
    except Image.DecompressionBombError as error:
        raise _too_many_pixels() from error
    except UNREADABLE as error:
        raise damaged() from error


def damaged() -> ImageRefused:
    return ImageRefused(
        Reason.UNREADABLE,
        "The image is damaged or incomplete",
        suggestion="Save the photo again and send the new file",
    )


def _judge_jpeg(image: bytes) -> bytes:
    """Return a JPEG with its end marker. Raises ImageRefused for one that is made to take time."""
    scans = sum(segment.marker == START_OF_SCAN for segment in jpeg_segments(image))
    if scans > MAX_SCANS:
        raise ImageRefused(
            Reason.UNREADABLE,
            f"The image has {scans} scans; at most {MAX_SCANS} are taken",
            suggestion="Save the photo again and send the new file",
        )
    if has_end(image):
        return image
    from visavis.engine.images.jpeg_damage import is_damaged  # loads OpenCV, which most images do not need here

    if is_damaged(image):
        raise damaged()
    return image + bytes((0xFF, END_OF_IMAGE))


def _judge_size(size: tuple[int, int]) -> None:
    width_px, height_px = size
    if width_px * height_px > MAX_PIXELS:
        raise _too_many_pixels(size)


def _too_many_pixels(size: tuple[int, int] | None = None) -> ImageRefused:
    claimed = f"{size[0]} x {size[1]} px are" if size else "The image has"
    return ImageRefused(
        Reason.TOO_LARGE,
        f"{claimed} too many pixels; at most {MAX_PIXELS // 1_000_000} million are taken",
        suggestion="Send a smaller photo",
    )


def _upright_rgb(opened: Image.Image) -> DecodedPhoto:
    full_side_px = max(opened.size)
    orientation = _orientation(opened)
    profile = opened.info.get("icc_profile")
    if opened.format in ("JPEG", "MPO"):
        shrink = 1
        while shrink < 8 and full_side_px / (shrink * 2) >= WORKING_SIDE_PX:
            shrink *= 2
        if shrink > 1:  # the JPEG decoder reduces by itself, many times faster than decoding in full
            opened.draft(opened.mode, (max(1, opened.width // shrink), max(1, opened.height // shrink)))
    opened.load()
    picture = _eight_bit(opened)
    while max(picture.size) / 2 >= WORKING_SIDE_PX:
        picture = picture.reduce(2)
    reduced = round(full_side_px / max(picture.size))
    opacity = picture.getchannel("A") if picture.mode in ("RGBA", "LA") else None
    if opacity is not None and opacity.histogram()[0] < SEE_THROUGH_FROM * opacity.width * opacity.height:
        opacity = None
    picture = _upright(_flat(picture, profile), orientation)
    matte = None if opacity is None else np.array(_upright(opacity, orientation), dtype=np.uint8)
    return DecodedPhoto(picture=np.array(picture, dtype=np.uint8), reduced=reduced, opacity=matte)


def _orientation(opened: Image.Image) -> int:
    """Return the orientation that the EXIF tag tells, 1 (upright) if there is none, or if it cannot be read: broken
    metadata is no reason to refuse a photo whose pixels are sound.
    """
    try:
        orientation = opened.getexif().get(0x0112, 1)
    except UNREADABLE:
        return 1
    return orientation if isinstance(orientation, int) else 1


def _upright(picture: Image.Image, orientation: int) -> Image.Image:
    if orientation == 1:
        return picture
    picture.getexif()[0x0112] = orientation
    return ImageOps.exif_transpose(picture)


def _eight_bit(picture: Image.Image) -> Image.Image:
    """Return `picture` in a mode with 8 bits a channel that can be averaged: L, LA, RGB, RGBA or CMYK."""
    if picture.mode in ("I;16", "I;16B", "I;16L", "I", "F"):
        values = np.asarray(picture, dtype=np.float32)
        top = 65535.0 if values.max(initial=0.0) > 255 else 255.0
        return Image.fromarray(np.clip(values * (255.0 / top), 0, 255).astype(np.uint8), "L")
    if picture.mode == "P" or "transparency" in picture.info:
        return picture.convert("RGBA")
    if picture.mode in ("L", "LA", "RGB", "RGBA", "CMYK"):
        return picture
    return picture.convert("RGB")


def _flat(picture: Image.Image, profile: bytes | None) -> Image.Image:
    """Return `picture` as opaque sRGB."""
    if picture.mode in ("RGBA", "LA"):
        picture = picture.convert("RGBA")
        ground = Image.new("RGBA", picture.size, (*BEHIND_TRANSPARENCY, 255))
        picture = Image.alpha_composite(ground, picture).convert("RGB")
    if profile and picture.mode in ("RGB", "CMYK"):
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            if "sRGB" not in ImageCms.getProfileDescription(source):
                converted = ImageCms.profileToProfile(picture, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
                assert converted is not None  # only None when it works in place
                return converted
        except (ImageCms.PyCMSError, OSError):
            pass  # a broken profile is no reason to refuse a photo whose pixels are sound
    return picture.convert("RGB")
