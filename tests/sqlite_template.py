"""New SQLite databases of this process are copies of one that was migrated once: to run all migrations takes longer
than most tests do. Servers and commands that tests start run them, unless tests.used_folder gives them such a copy.
"""

from __future__ import annotations

import asyncio
import functools
import tempfile
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from visavis.store import database
from visavis.store.sqlite import open_sqlite


def use_template(patch: pytest.MonkeyPatch) -> None:
    """Let `Database.open` begin an empty file with the template."""
    template = migrated()
    migrate = database._migrate
    fresh: set[str] = set()

    def open_from_template(url: str, path: Path | None) -> AsyncEngine:
        engine = open_sqlite(url, path)
        if path is not None and path.stat().st_size == 0:
            whole = path.with_name(f".{path.name}.template")  # nobody may read half of it
            whole.touch(mode=0o600)
            whole.write_bytes(template)
            whole.replace(path)
            fresh.add(str(engine.url.database))
        return engine

    async def migrate_unless_fresh(engine: AsyncEngine) -> None:
        if str(engine.url.database) not in fresh:
            await migrate(engine)
            return
        fresh.discard(str(engine.url.database))
        async with engine.connect() as connection:
            await connection.run_sync(database._hold_references)

    patch.setattr(database, "open_sqlite", open_from_template)
    patch.setattr(database, "_migrate", migrate_unless_fresh)


@functools.cache
def migrated() -> bytes:
    """Return an empty database with the newest schema."""

    async def make(url: str) -> None:
        opened = await database.Database.open(url)
        await opened.forget()
        await opened.aclose()

    with tempfile.TemporaryDirectory(prefix="visavis-tests-") as folder:
        path = Path(folder) / "template.db"
        asyncio.run(make(f"sqlite+aiosqlite:///{path}"))
        return path.read_bytes()
