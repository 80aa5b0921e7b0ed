"""Tells the type of an image from its first bytes and its size. It decodes nothing, so it is safe in any process."""

from __future__ import annotations

from typing import Literal

from visavis.engine.errors import ImageRefused, Reason

ImageType = Literal["JPEG", "PNG", "GIF", "WEBP"]

MAX_IMAGE_BYTES = 10_000_000
MAX_PIXELS = 80_000_000  # an 8,000 px square photo passes; 16 bit RGBA of that size needs 512 MB while decoding
TYPE_HINTS = {
    "a HEIC photo": "; phones do so when the photo is shared as most compatible",
    "a PDF document": "; a screenshot of the page will do",
}
TYPE_SUGGESTION = "Send a JPEG, PNG, WebP or GIF"


def image_type(image: bytes) -> ImageType:
    """Return the type of the content, whatever its name or label says.

    Raises ImageRefused: TOO_LARGE (over MAX_IMAGE_BYTES), UNREADABLE (empty), UNKNOWN_TYPE (anything else).
    """
    if len(image) > MAX_IMAGE_BYTES:
        raise ImageRefused(
            Reason.TOO_LARGE,
            f"The image has {len(image) / 1e6:.1f} MB; at most 10 MB are taken",
            suggestion="Send a smaller or more compressed photo",
        )
    if not image:
        raise ImageRefused(Reason.UNREADABLE, "The image is empty", suggestion=TYPE_SUGGESTION)
    if image[:3] == b"\xff\xd8\xff":
        return "JPEG"
    if image[:8] == b"\x89PNG\r\n\x1a\n":
        return "PNG"
    if image[:6] in (b"GIF87a", b"GIF89a"):
        return "GIF"
    if image[:4] == b"RIFF" and image[8:12] == b"WEBP":
        return "WEBP"
    named = _other_type(image)
    raise ImageRefused(
        Reason.UNKNOWN_TYPE,
        f"The file is {named}; JPEG, PNG, WebP and GIF are taken"
        if named
        else "The file is not a JPEG, PNG, WebP or GIF image",
        suggestion=f"Save it as a JPEG or PNG and send that{TYPE_HINTS.get(named or '', '')}"
        if named
        else TYPE_SUGGESTION,
    )


def _other_type(image: bytes) -> str | None:
    """Return the usual name of another type of file, by its first bytes; None for an unknown type."""
    start = image[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if image[4:8] == b"ftyp":  # ISO base media: the brand says which
        brands = image[8:40]
        if b"avif" in brands or b"avis" in brands:
            return "an AVIF image"
        if any(brand in brands for brand in (b"heic", b"heix", b"heif", b"hevc", b"mif1", b"msf1")):
            return "a HEIC photo"
        return "a video"
    signatures: tuple[tuple[bytes, str], ...] = (
        (b"%pdf", "a PDF document"),
        (b"<svg", "an SVG drawing"),
        (b"ii*\x00", "a TIFF image"),
        (b"mm\x00*", "a TIFF image"),
        (b"bm", "a BMP image"),
        (b"8bps", "a Photoshop document"),
        (b"\x1aE\xdf\xa3".lower(), "a video"),
        (b"\x00\x00\x01\x00", "an icon"),
        (b"\xff\x0a", "a JPEG XL image"),
        (b"pk\x03\x04", "a ZIP archive"),
        (b"<!doctype html", "a web page"),
        (b"<html", "a web page"),
    )
    for signature, name in signatures:
        if start.startswith(signature):
            return name
    return "an SVG drawing" if start.startswith(b"<?xml") and b"<svg" in start else None
