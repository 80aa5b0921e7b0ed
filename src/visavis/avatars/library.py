"""The avatars that come with the server. They are prepared at the first start, and again when a picture or the version
of Visavis has changed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence

import anyio.to_thread
import structlog

from visavis import __version__
from visavis.avatars.service import Avatars
from visavis.engine.pack.version import FORMAT_VERSION
from visavis.errors import NotFound, PackUnreadable, VisavisError
from visavis.library import PORTRAITS, LibraryPortrait
from visavis.store.records import AvatarRecord
from visavis.timestamps import now_ms

log = structlog.get_logger()


async def install_library(
    avatars: Avatars,
    portraits: Sequence[LibraryPortrait] = PORTRAITS,
    on_default: Callable[[AvatarRecord], Awaitable[None]] | None = None,
) -> AvatarRecord | None:
    """Install or refresh all portraits, the default one first. Return the default look, None if it could not be
    prepared.

    `on_default` is awaited as soon as the default look is ready. Lists show the newest avatars first, so the creation
    times are set so that lists keep the order of `portraits`. Portraits of one name become looks of one character.
    """
    stored = await avatars.of_library()
    looks = {avatar.library_name: avatar for avatar in stored if avatar.parent_id is not None}
    characters = {avatar.name: avatar.id for avatar in stored if avatar.parent_id is None}
    now = now_ms()
    created_at_ms = {portrait.slug: now - number for number, portrait in enumerate(portraits)}
    default: AvatarRecord | None = None
    for portrait in sorted(portraits, key=lambda portrait: not portrait.is_default):
        try:
            image = await anyio.to_thread.run_sync(portrait.path.read_bytes)
            look = looks.get(portrait.slug)
            digest = hashlib.sha256(f"{__version__}/{FORMAT_VERSION}".encode() + image).hexdigest()
            if look is None:
                character_id = characters.get(portrait.name)
                look = await _add(avatars, portrait, image, digest, character_id, created_at_ms[portrait.slug])
                characters[portrait.name] = look.parent_id or ""
            elif look.digest != digest or not await _has_pack(avatars, look.id):
                await avatars.prepare(look.id, image, holder="library")
                await avatars.refreshed(look, digest)
                log.info("library_avatar_refreshed", avatar_id=look.id, slug=portrait.slug)
        except (VisavisError, OSError) as error:
            log.error("library_avatar_failed", slug=portrait.slug, detail=str(error))
        else:
            if portrait.is_default:
                default = look
                if on_default is not None:
                    await on_default(look)
    return default


async def _has_pack(avatars: Avatars, look_id: str) -> bool:
    try:
        await avatars.pack_ref(look_id)
    except (NotFound, PackUnreadable):
        return False
    return True


async def _add(
    avatars: Avatars,
    portrait: LibraryPortrait,
    image: bytes,
    digest: str,
    character_id: str | None,
    created_at_ms: int,
) -> AvatarRecord:
    look = await avatars.add(
        image,
        name=portrait.name,
        look_name=portrait.look,
        owner=None,
        public=True,
        library_name=portrait.slug,
        digest=digest,
        tags=portrait.tags,
        character_id=character_id,
        created_at_ms=created_at_ms,
    )
    log.info("library_avatar_added", avatar_id=look.id, slug=portrait.slug)
    return look
