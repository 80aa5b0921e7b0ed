"""The packs of this server's avatars, for commands that run beside the server or without it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from visavis.ids import is_id
from visavis.settings import Settings
from visavis.store.avatars import AvatarStore
from visavis.store.database import Database


def find_pack(avatar_id: str, settings: Settings) -> Path | None:
    """Return the pack folder of a look, or of a character's first look, in the data folder; None for any other text."""
    if not is_id("avat", avatar_id):
        return None
    look_id = asyncio.run(_find_look(avatar_id, settings))
    pack_path = settings.avatars_dir / (look_id or "") / "pack"
    return pack_path if look_id is not None and pack_path.exists() else None


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
