"""Locks a data folder for one server: a second server would end the sessions of the first one.

Other commands (`visavis keys`, `visavis render`) take no lock and may run at any time.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from visavis.errors import DataFolderInUse, DataFolderUnusable
from visavis.machine.file_modes import file_mode, folder_mode
from visavis.machine.folder_access import advice, reason

LOCK_NAME = "server.lock"  # in the data folder; the file stays after the server has ended
SUCCESSOR_NAME = "successor.lock"  # locked by a server that waits for the folder
CHECK_EVERY_S = 0.02


class Succession:
    """Whether another server waits for this one's data folder (`owned(take_over_within_s=…)`)."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / SUCCESSOR_NAME

    def is_awaited(self) -> bool:
        """Whether a server waits now. One that has ended waits no longer."""
        try:
            descriptor = os.open(self._path, os.O_RDWR)
        except OSError:  # nobody has ever waited
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        finally:
            os.close(descriptor)
        return False


@contextmanager
def owned(data_dir: Path, *, database: Path | None, take_over_within_s: float | None = None) -> Iterator[None]:
    """Lock the data folder inside this context, and also the database if it is in another folder.

    The locks end with the process, however it ends. Child processes do not inherit them. With `take_over_within_s` the
    server that owns the folder is asked to hand it over, and may take so long. Raises `DataFolderInUse`, and
    `DataFolderUnusable` if the folder cannot be locked.
    """
    with ExitStack() as locks, ExitStack() as waiting:
        within_s = 0.0
        if take_over_within_s is not None:
            within_s = take_over_within_s
            what = f"The succession in {data_dir}"
            # The owner locks it for an instant when it looks.
            waiting.enter_context(_locked(data_dir / SUCCESSOR_NAME, what=what, within_s=1.0))
        locks.enter_context(_locked(data_dir / LOCK_NAME, what=f"The data folder {data_dir}", within_s=within_s))
        if database is not None and database.resolve().parent != data_dir.resolve():
            beside = database.with_name(database.name + ".lock")
            locks.enter_context(_locked(beside, what=f"The database {database}", within_s=within_s))
        waiting.close()
        yield


@contextmanager
def _locked(path: Path, *, what: str, within_s: float = 0.0) -> Iterator[None]:
    deadline_s = time.monotonic() + within_s
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=folder_mode())
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, file_mode())
    except OSError as error:
        raise _unusable(what, path, error) from error
    try:
        while not _is_locked_now(descriptor, what, path):
            if time.monotonic() >= deadline_s:
                raise _in_use(what, owner=os.pread(descriptor, 20, 0).decode(errors="replace").strip())
            time.sleep(CHECK_EVERY_S)
        try:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        except OSError as error:
            raise _unusable(what, path, error) from error
        yield
    finally:
        os.close(descriptor)


def _is_locked_now(descriptor: int, what: str, path: Path) -> bool:
    """Lock a file; return False if another process has locked it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise _unusable(what, path, error) from error
    return True


def _in_use(what: str, *, owner: str) -> DataFolderInUse:
    process = f" (process {owner})" if owner.isdecimal() else ""
    return DataFolderInUse(
        f"{what} is in use by another server{process}", suggestion="Stop that server, or set VISAVIS_DATA_DIR"
    )


def _unusable(what: str, path: Path, error: OSError) -> DataFolderUnusable:
    return DataFolderUnusable(f"{what} cannot be used: {reason(path, error)}", suggestion=advice(error))
