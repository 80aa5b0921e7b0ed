"""Which avatar is meant: an id, the address of a photo, a photo, or the name of an avatar."""

from __future__ import annotations

import asyncio
import base64
import io
import re
from pathlib import Path
from typing import TYPE_CHECKING

from livekit.plugins.visavis.errors import AvatarUnknown
from visavis_client import AsyncVisavis

if TYPE_CHECKING:
    from PIL.Image import Image

    AvatarChoice = str | Path | bytes | Image

_SENT_AS_IT_IS = re.compile(r"avat_|https?://|data:image/")
_LOOK = " (look)"


async def find_avatar(client: AsyncVisavis, choice: AvatarChoice) -> str | Path | bytes:
    """Return what a session is created with. Raises `AvatarUnknown` for a name that no avatar has."""
    if isinstance(choice, str):
        return choice if _SENT_AS_IT_IS.match(choice) else await _of_name(client, choice)
    if isinstance(choice, Path | bytes):
        return choice
    return await asyncio.to_thread(_png, choice)


async def _of_name(client: AsyncVisavis, name: str) -> str:
    avatars = await client.avatars.list()
    wanted = _plain(name)
    for avatar in avatars:
        if _plain(avatar.name) == wanted:
            return avatar.id
    names = ", ".join(sorted({avatar.name for avatar in avatars})) or "none"
    raise AvatarUnknown(f"No avatar is called {name!r}. The account has: {names}")


def _plain(name: str) -> str:
    return name.casefold().removesuffix(_LOOK)


def _png(image: Image) -> str:
    """Return a picture of PIL as base64."""
    written = io.BytesIO()
    image.save(written, format="PNG")
    return base64.b64encode(written.getvalue()).decode()
