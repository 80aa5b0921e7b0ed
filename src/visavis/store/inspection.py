"""Looks at a database without changing it."""

from __future__ import annotations

import sqlite3
from urllib.parse import quote

from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from visavis.store.database import described_errors, sqlite_path
from visavis.store.file_system import check_place
from visavis.store.migrations import has_newest_schema
from visavis.store.postgresql import open_for_migrations


async def look_at(url: str) -> str:
    """Return in words what the database is. Raises `DatabaseUnusable`, and `SettingInvalid` for an address that is
    none.
    """
    path = sqlite_path(url)
    if path is None:
        with described_errors("The database of VISAVIS_DATABASE_URL"):
            engine = open_for_migrations(url)
            async with engine.connect() as connection:
                newest = await connection.run_sync(has_newest_schema)
        return _described("a PostgreSQL", newest=newest)
    check_place(path)
    if not path.exists():
        return f"{path} does not exist yet; the first start makes it"
    address = f"file:{quote(str(path.absolute()))}?mode=ro"
    reading = create_engine("sqlite://", creator=lambda: sqlite3.connect(address, uri=True), poolclass=NullPool)
    with described_errors(f"The database {path}"), reading.connect() as found:
        return _described(str(path), newest=has_newest_schema(found))


def _described(name: str, *, newest: bool) -> str:
    return (
        f"{name}, with the schema of this version" if newest else f"{name}; the next start brings its schema up to date"
    )
