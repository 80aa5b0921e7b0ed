"""Blobs in an object store that all servers share, with a copy in this server's folder, where its stages read them."""

from __future__ import annotations

from visavis.store.blobs import Blobs


class CachedBlobs:
    """Implements `Blobs`. What `shared` has counts; `local` has what this server has written or read."""

    def __init__(self, *, shared: Blobs, local: Blobs) -> None:
        self._shared, self._local = shared, local

    async def put(self, name: str, data: bytes) -> None:
        await self._shared.put(name, data)
        await self._local.put(name, data)

    async def get(self, name: str) -> bytes | None:
        """Blobs never change under their names, which are made from their content: a local one is the shared one."""
        data = await self._local.get(name)
        if data is None:
            data = await self._shared.get(name)
            if data is not None:
                await self._local.put(name, data)
        return data

    async def names(self, prefix: str) -> list[str]:
        """Return the names in either, so that what another server has deleted is deleted here, too."""
        return sorted({*await self._shared.names(prefix), *await self._local.names(prefix)})

    async def delete(self, name: str) -> None:
        await self._shared.delete(name)
        await self._local.delete(name)

    async def delete_all(self, prefix: str) -> None:
        await self._shared.delete_all(prefix)
        await self._local.delete_all(prefix)
