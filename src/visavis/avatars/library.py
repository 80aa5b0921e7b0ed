"""The avatars that come with the server. Their packs come with it too, and are copied before the server accepts
connections. A portrait without a pack of its photo and of the engine's version is prepared as an upload is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import anyio.to_thread
import structlog

from visavis import __version__
from visavis.avatars.preparation import Prepare
from visavis.avatars.service import Avatars
from visavis.engine.pack.version import FORMAT_VERSION
from visavis.engine.portrait.points import SevenPoints
from visavis.errors import NotFound, PackUnreadable, VisavisError
from visavis.library import PORTRAITS, LibraryPortrait
from visavis.library.prepared import PreparedLook
from visavis.store.records import AvatarRecord
from visavis.timestamps import now_ms

log = structlog.get_logger()


async def install_library(
    avatars: Avatars,
    portraits: Sequence[LibraryPortrait] = PORTRAITS,
    on_default: Callable[[AvatarRecord], Awaitable[None]] | None = None,
    *,
    prepared_only: bool = False,
) -> AvatarRecord | None:
    """Install or refresh all portraits, the default one first. Return the default look, None if it could not be
    installed. `prepared_only`: leave out portraits that must be prepared first, which takes seconds.

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
            source = await anyio.to_thread.run_sync(_Source.of, portrait)
            if prepared_only and source.prepare is None:
                continue
            look = looks.get(portrait.slug)
            if look is None:
                character_id = characters.get(portrait.name)
                look = await _add(avatars, portrait, source, character_id, created_at_ms[portrait.slug])
                characters[portrait.name] = look.parent_id or ""
            elif look.digest != source.digest or not await _has_pack(avatars, look.id):
                await avatars.prepare(look.id, source.image, holder="library", prepare=source.prepare)
                await avatars.refreshed(look, source.digest)
                log.info("library_avatar_refreshed", avatar_id=look.id, slug=portrait.slug)
        except (VisavisError, OSError, ValueError) as error:
            log.error("library_avatar_failed", slug=portrait.slug, detail=str(error))
        else:
            if portrait.is_default:
                default = look
                if on_default is not None:
                    await on_default(look)
    return default


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """What a look is made of. `digest`: changes when the look must be made again. `prepare`: copies the prepared look;
    None if there is none.
    """

    image: bytes
    digest: str
    prepare: Prepare | None

    @classmethod
    def of(cls, portrait: LibraryPortrait) -> _Source:
        """Raises OSError and, for damaged files, ValueError."""
        image = portrait.path.read_bytes()
        prepared = PreparedLook.find(portrait.slug, image, pack_version=FORMAT_VERSION)
        if prepared is not None:
            return cls(image=image, digest=prepared.digest, prepare=partial(_copy, prepared))
        digest = hashlib.sha256(f"{__version__}/{FORMAT_VERSION}".encode() + image).hexdigest()
        return cls(image=image, digest=digest, prepare=None)


async def _copy(prepared: PreparedLook, image: bytes, out_dir: Path, *, points: SevenPoints | None = None) -> None:
    """Implements `Prepare`."""

    def copy() -> None:
        for name, content in prepared.read().items():
            (out_dir / name).write_bytes(content)

    await anyio.to_thread.run_sync(copy)


async def _has_pack(avatars: Avatars, look_id: str) -> bool:
    try:
        await avatars.pack_ref(look_id)
    except (NotFound, PackUnreadable):
        return False
    return True


async def _add(
    avatars: Avatars,
    portrait: LibraryPortrait,
    source: _Source,
    character_id: str | None,
    created_at_ms: int,
) -> AvatarRecord:
    look = await avatars.add(
        source.image,
        name=portrait.name,
        look_name=portrait.look,
        owner=None,
        public=True,
        library_name=portrait.slug,
        digest=source.digest,
        tags=portrait.tags,
        character_id=character_id,
        created_at_ms=created_at_ms,
        prepare=source.prepare,
    )
    log.info("library_avatar_added", avatar_id=look.id, slug=portrait.slug)
    return look
