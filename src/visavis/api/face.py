"""Photos as clients send them: a file, an address, base64 with or without its data: prefix."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

from visavis.accounts.scopes import Scope, check_scope
from visavis.avatars.fetch import FetchImage
from visavis.avatars.service import Avatars, NewIds
from visavis.base64_text import decode_base64
from visavis.engine.images.image_type import MAX_IMAGE_BYTES
from visavis.errors import AvatarNotFound, ImageTooLarge, PortraitRefused
from visavis.large_work import run_large
from visavis.store.records import AvatarRecord, KeyRecord

_DATA_URL = re.compile(r"data:[\w.+-]*/?[\w.+-]*(?:;[\w.+=-]+)*;base64,", re.ASCII | re.IGNORECASE)
_LONGEST_ID = 128  # longer text that is not an address must be an image
DEFAULT_NAME = "My avatar"


def decode_base64_image(text: str) -> bytes:
    """Raises `ImageTooLarge`, and `PortraitRefused` for what is not base64."""
    if (prefix := _DATA_URL.match(text[:200])) is not None:
        text = text[prefix.end() :]
    try:
        image = decode_base64(text, url_safe=True)
    except ValueError:
        raise PortraitRefused("The image is not valid base64") from None
    if len(image) > MAX_IMAGE_BYTES:
        raise ImageTooLarge(f"The image is larger than {MAX_IMAGE_BYTES // 1_000_000} MB")
    return image


def is_address(text: str) -> bool:
    """Whether the text begins like an http(s) address. What follows may be wrong."""
    return text[:8].lower().startswith(("http://", "https://"))


async def read_image(text: str, *, fetch_image: FetchImage) -> bytes:
    """Return the image at an http(s) address, or in base64 with or without the data: prefix. Raises the
    `PortraitRefused` family.
    """
    if is_address(text):
        return await fetch_image(text)
    return await run_large("body", decode_base64_image, text)


@asynccontextmanager
async def avatar_of_text(
    avatars: Avatars, key: KeyRecord, text: str, *, ids: NewIds | None = None
) -> AsyncIterator[AvatarRecord]:
    """Yield the look that `avatar` of the own-room dialect names. An image becomes a new look first (`ids`: which one),
    which is removed again if the block fails.

    Raises `InsufficientScope` for an image, `NotFound`, `AccessDenied`, the `PortraitRefused` family,
    `AvatarLimitReached`, `NoCapacity`.
    """
    if is_address(text):
        check_scope(key.scopes, Scope.AVATARS_WRITE)
        new = await avatars.add_from_url(key, text, name=DEFAULT_NAME, ids=ids)
    elif text[:5].lower() == "data:" or len(text) > _LONGEST_ID:
        check_scope(key.scopes, Scope.AVATARS_WRITE)
        image = await run_large("body", decode_base64_image, text)
        new = await avatars.add(image, name=DEFAULT_NAME, owner=key, ids=ids)
    elif not text.isprintable():
        raise AvatarNotFound
    else:
        yield await avatars.look_of(key, text)
        return
    try:
        yield new
    except BaseException:
        with anyio.CancelScope(shield=True):
            await avatars.undo(new)
        raise
