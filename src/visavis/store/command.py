"""`visavis db copy`, `visavis db backup` and `visavis db stage-role`."""

from __future__ import annotations

from pathlib import Path

from visavis import signals
from visavis.errors import DatabaseUnusable
from visavis.machine import file_modes
from visavis.settings import read_settings
from visavis.store.backup import back_up
from visavis.store.copy import copy_database
from visavis.store.database import Database, sqlite_path
from visavis.store.ownership import owned
from visavis.store.stage_role import make_stage_role


def copy_into_configured(source: Path | None) -> None:
    """Copy an SQLite database into the one that the settings name, and print how many rows each table has. Raises
    `DatabaseUnusable`, `DataFolderInUse`.
    """
    settings = read_settings()
    file_modes.apply(settings.data_mode)
    found = source or settings.data_dir.absolute() / "visavis.db"
    if settings.database_url is None or sqlite_path(settings.resolved_database_url) == found:
        raise DatabaseUnusable(
            "There is no database to copy into", suggestion="Set VISAVIS_DATABASE_URL to an empty PostgreSQL"
        )
    with owned(settings.data_dir, database=found):
        signals.run(_copy(f"sqlite+aiosqlite:///{found.absolute()}", settings.resolved_database_url))
    print("All rows were copied.")


def back_up_configured(into: Path) -> None:
    """Back up what the settings name into a new folder, and print what it has. Raises `DatabaseUnusable`,
    `FileUnusable`.
    """
    settings = read_settings()
    database = sqlite_path(settings.resolved_database_url)
    if database is not None and not database.exists():
        raise DatabaseUnusable(
            f"There is no database at {database}", suggestion="Set VISAVIS_DATA_DIR to the server's data folder"
        )
    count = back_up(settings.data_dir.absolute(), into.absolute(), database=database)
    print(f"{into}: {count} files")
    if database is None:
        print("The database is a PostgreSQL, which this does not back up: run pg_dump before.")
    if settings.s3_url is not None:
        print(f"Avatars and pictures lie in {settings.s3_url}, which this does not back up.")


def make_configured_stage_role(name: str) -> None:
    """Make the database role of stages' machines, and print the database's address for it. Raises
    `DatabaseUnusable`.
    """
    settings = read_settings()
    print(signals.run(_make_stage_role(settings.resolved_database_url, name)), flush=True)


async def _make_stage_role(url: str, name: str) -> str:
    database = await Database.open(url, create=False)
    try:
        return await make_stage_role(database, name=name)
    finally:
        await database.aclose()


async def _copy(source_url: str, target_url: str) -> None:
    source = await Database.open(source_url, create=False)
    try:
        target = await Database.open(target_url)
        try:
            await copy_database(source, target, tell=lambda table, rows: print(f"{table}: {rows}"))
        finally:
            await target.aclose()
    finally:
        await source.aclose()
