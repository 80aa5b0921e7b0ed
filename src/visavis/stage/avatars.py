"""The avatars that a stage has in memory. Each is loaded once and shared by all sessions that show it."""

from __future__ import annotations

import asyncio

from visavis.engine.pack_ref import PackRef
from visavis.errors import PackUnreadable, VisavisError
from visavis.stage.parts import Avatar, Parts
from visavis.stage.sources import PackSource

KEPT_UNUSED = 1  # avatars without a session that stay in memory: the next session often shows the same avatar


class LoadedAvatars:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        # each with the sessions that show it; the one that was acquired last is last
        self._loaded: dict[PackRef, tuple[Avatar, set[str]]] = {}
        self._loading: dict[PackRef, asyncio.Lock] = {}

    async def acquire(self, ref: PackRef, session_id: str, source: PackSource) -> Avatar:
        """Return the avatar for a session, which calls `release` at its end. Raises `PackUnreadable`."""
        async with self._loading.setdefault(ref, asyncio.Lock()):
            try:
                if ref not in self._loaded:
                    self._loaded[ref] = (await self._load(ref, source), set())
            finally:
                self._loading.pop(ref, None)
        avatar, shown_by = self._loaded[ref] = self._loaded.pop(ref)
        shown_by.add(session_id)
        return avatar

    async def _load(self, ref: PackRef, source: PackSource) -> Avatar:
        try:
            return await asyncio.to_thread(self._parts.load_avatar, await source.pack(ref))
        except VisavisError:
            raise
        except Exception as error:
            raise PackUnreadable(f"The avatar pack cannot be read: {error!r}") from error

    def release(self, session_id: str) -> None:
        """Release the session's avatar. Of the avatars without a session, only the last KEPT_UNUSED stay in memory."""
        for _, shown_by in self._loaded.values():
            shown_by.discard(session_id)
        unused = [ref for ref, (_, shown_by) in self._loaded.items() if not shown_by]
        for ref in unused[:-KEPT_UNUSED]:
            del self._loaded[ref]
