"""Locks a data folder for one server: a second server would end the sessions of the first one.

Other commands (`visavis keys`, `visavis render`) take no lock and may run at any time.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from visavis.errors import DataFolderInUse, DataFolderUnusable

LOCK_NAME = "server.lock"  # in the data folder; the file stays after the server has ended


@contextmanager
def owned(data_dir: Path, *, database: Path | None) -> Iterator[None]:
    """Lock the data folder inside this context, and also the database if it is in another folder.

    The locks end with the process, however it ends. Child processes do not inherit them. Raises `DataFolderInUse`, and
    `DataFolderUnusable` if the folder cannot be locked.
    """
    with ExitStack() as locks:
        locks.enter_context(_locked(data_dir / LOCK_NAME, what=f"The data folder {data_dir}"))
        if database is not None and database.resolve().parent != data_dir.resolve():
            beside = database.with_name(database.name + ".lock")
            locks.enter_context(_locked(beside, what=f"The database {database}"))
        yield


@contextmanager
def _locked(path: Path, *, what: str) -> Iterator[None]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise _unusable(what, error) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _in_use(what, owner=os.pread(descriptor, 20, 0).decode(errors="replace").strip()) from None
        except OSError as error:
            raise _unusable(what, error) from error
        try:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        except OSError as error:
            raise _unusable(what, error) from error
        yield
    finally:
        os.close(descriptor)


def _in_use(what: str, *, owner: str) -> DataFolderInUse:
    process = f" (process {owner})" if owner.isdecimal() else ""
    return DataFolderInUse(
        f"{what} is in use by another server{process}", suggestion="Stop that server, or set VISAVIS_DATA_DIR"
    )


def _unusable(what: str, error: OSError) -> DataFolderUnusable:
    return DataFolderUnusable(f"{what} cannot be used: {error.strerror}", suggestion="Set VISAVIS_DATA_DIR")
