"""The copy of an SQLite database that is kept before a migration changes it: with it the build before starts again.

It lies beside the database, as `visavis.db.before-0019` where 0019 is the schema that came then. There is one at most,
and it goes after DAYS days: what users have had deleted meanwhile is still in it.
"""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path

import structlog

from visavis.store.backup import copy_database

DAYS = 14

log = structlog.get_logger()


def keep_before_migration(path: Path, newest: str) -> Path | None:
    """Copy the database if it has an earlier schema than `newest`, in place of earlier copies; return the copy. None,
    and no copy, for one that is new, is up to date, or belongs to another program or a newer version. Raises
    `sqlite3.Error` and OSError; then nothing is left of the copy.
    """
    revision = _revision_of(path)
    if revision is None or revision >= newest:
        return None
    target = path.with_name(f"{path.name}.before-{newest}")
    partial = path.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        copy_database(path, partial)
        if (
            _revision_of(partial, "&immutable=1") != revision
        ):  # another process has migrated it meanwhile, and has a copy
            return None
        earlier = [one for one in _copies(path) if one != target]
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    for one in earlier:
        one.unlink(missing_ok=True)
    log.info("database_copied_before_migration", copy=str(target))
    return target


def forget_old_copies(path: Path, *, now_s: float | None = None) -> None:
    """Delete the copies of a database that were kept long enough."""
    before_s = (time.time() if now_s is None else now_s) - DAYS * 86_400
    for one in _copies(path):
        with suppress(FileNotFoundError):
            if one.stat().st_mtime < before_s:
                one.unlink()
                log.info("database_copy_deleted", copy=str(one))


def _copies(path: Path) -> list[Path]:
    return sorted(path.parent.glob(f"{path.name}.before-*"))


def _revision_of(path: Path, options: str = "") -> str | None:
    """Return the schema of a database of ours; None for anything else. `options`: of SQLite; one that is `immutable` is
    read without files beside it.
    """
    if not path.is_file() or not path.stat().st_size:
        return None
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro{options}", uri=True, timeout=10)) as database:
        known = database.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone()
        row = None if known is None else database.execute("SELECT version_num FROM alembic_version").fetchone()
    return None if row is None else str(row[0])
