"""Backs up what a server keeps, while it runs: the database as of one moment, then the files that it names.

Files are copied after the database. They are named by their content and never change, so whatever the database names is
there, unless it was deleted meanwhile.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

from visavis.errors import FileUnusable

FOLDERS = ("avatars", "sessions")
FILES = ("secret",)
DATABASE = "visavis.db"


def back_up(data_dir: Path, into: Path, *, database: Path | None) -> int:
    """Copy a data folder into a new folder, with which a server can start; return how many files were copied.
    `database`: the SQLite database; None: it is another one. Raises `FileUnusable`; then there is no such folder.
    """
    partial = into.with_name(f".{into.name}.part")
    try:
        if into.exists():
            raise FileUnusable(f"{into} exists already", suggestion="Name a new folder")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True, mode=0o700)
        try:
            if database is not None:
                copy_database(database, partial / DATABASE)
            count = sum(1 for _ in _copy_files(data_dir, partial))
            partial.rename(into)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
    except (OSError, sqlite3.Error) as error:
        raise FileUnusable(f"The backup could not be made: {error}") from error
    return count + (database is not None)


def copy_database(source: Path, target: Path) -> None:
    """Copy in one read of the database, which does not keep the server from writing. Raises `sqlite3.Error` and
    OSError.
    """
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    os.close(descriptor)
    with (
        closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True, timeout=10)) as reading,
        closing(sqlite3.connect(target)) as writing,
    ):
        reading.backup(writing)
        problem = writing.execute("PRAGMA quick_check(1)").fetchone()[0]
    if problem != "ok":
        raise sqlite3.DatabaseError(f"the database is damaged: {problem}")


def _copy_files(data_dir: Path, into: Path) -> Iterator[Path]:
    """Copy the files of looks and sessions, and the secret; yield each. Files that are being written are left out."""
    for name in FILES:
        if (data_dir / name).exists():
            yield _copied(data_dir / name, into / name)
    for folder in FOLDERS:
        for path in sorted((data_dir / folder).rglob("*")):
            inner = path.relative_to(data_dir)
            if path.is_file() and not any(part.startswith(".") for part in inner.parts):
                with suppress(FileNotFoundError):  # it was deleted meanwhile
                    yield _copied(path, into / inner)


def _copied(source: Path, target: Path) -> Path:
    for folder in reversed(target.parents):  # with `parents`, mkdir gives its mode to the last one alone
        if not folder.exists():
            folder.mkdir(mode=0o700)
    shutil.copyfile(source, target)
    target.chmod(0o600)
    return target
