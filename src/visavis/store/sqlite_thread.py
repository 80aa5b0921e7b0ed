"""Opens a connection of aiosqlite, which has a thread, so that a cancellation in the middle leaves no thread behind.
That one would tell its event loop what it has opened when the loop may be gone, and print a traceback.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import aiosqlite
import anyio


async def open_connection(*arguments: Any, **options: Any) -> aiosqlite.Connection:
    """Return an open connection, as `aiosqlite.connect` does. A cancellation waits until it is open, and closes it."""
    opening = asyncio.create_task(_open(*arguments, **options))
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        with anyio.CancelScope(shield=True):
            await _to_its_end(asyncio.create_task(_close(opening)))
        raise


async def _open(*arguments: Any, **options: Any) -> aiosqlite.Connection:
    connection = aiosqlite.connect(*arguments, **options)
    connection._thread.daemon = True  # as SQLAlchemy does: no process waits for a connection that nobody has closed
    return await connection


async def _close(opening: asyncio.Task[aiosqlite.Connection]) -> None:
    with suppress(aiosqlite.Error, OSError):  # it could not be opened: nobody waits for it any more
        await (await opening).close()


async def _to_its_end(task: asyncio.Task[None]) -> None:
    """Wait for a task, whoever cancels this one meanwhile."""
    while not task.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait([task])
