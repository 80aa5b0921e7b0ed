"""Finds the packs of this server's avatars, for commands that run without the server."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from visavis import signals
from visavis.avatars.look_archive import LookArchive
from visavis.avatars.look_files import LookFiles
from visavis.errors import NotFound
from visavis.ids import is_id
from visavis.settings import Settings
from visavis.store.avatars import AvatarStore
from visavis.store.database import Database, sqlite_path
from visavis.store.object_store import open_object_store


def find_pack(avatar_id: str, settings: Settings) -> Path | None:
    """Return the folder of the pack of a look, or of a character's first look; None for any other text. Raises
    `PackUnreadable` if the pack must be made again, which only a server does, and `DatabaseUnusable`.
    """
    if not is_id("avat", avatar_id):
        return None
    database = sqlite_path(settings.resolved_database_url)
    if database is not None and not database.exists():
        return None
    return signals.run(_find_pack(avatar_id, settings))


async def _find_pack(avatar_id: str, settings: Settings) -> Path | None:
    look_id = await _find_look(avatar_id, settings)
    if look_id is None:
        return None
    shared = await open_object_store(settings)
    files = LookFiles(settings.avatars_dir, None if shared is None else LookArchive(shared))
    with suppress(NotFound):
        return files.pack_folder(await files.pack_ref(look_id))
    return None


async def _find_look(avatar_id: str, settings: Settings) -> str | None:
    database = await Database.open(settings.resolved_database_url)
    try:
        store = AvatarStore(database)
        avatar = await store.get(avatar_id)
        if avatar is None:
            return None
        if avatar.parent_id is not None:
            return avatar.id
        looks = await store.looks_of([avatar.id])
        return looks[0].id if looks else None
    finally:
        await database.aclose()
