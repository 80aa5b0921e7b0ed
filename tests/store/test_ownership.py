"""A data folder has one owner at a time. The lock ends with the owner's process, however it ends."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from visavis.errors import DataFolderInUse, DataFolderUnusable
from visavis.store.ownership import LOCK_NAME, owned

HOLD_LOCK = """
import sys, time
from pathlib import Path
from visavis.store.ownership import owned
with owned(Path(sys.argv[1]), database=None):
    print("held", flush=True)
    time.sleep(600)
"""


def lock(folder: Path, database: Path | None = None) -> None:
    with owned(folder, database=database):
        pass


def test_a_folder_has_one_owner_and_a_killed_process_releases_it(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD_LOCK, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        with pytest.raises(DataFolderInUse) as refused:
            lock(tmp_path)
        assert refused.value.message == (
            f"The data folder {tmp_path} is in use by another server (process {process.pid})"
        )
        process.kill()
    lock(tmp_path)


def test_child_processes_do_not_keep_the_folder(tmp_path: Path) -> None:
    with owned(tmp_path, database=tmp_path / "visavis.db"):
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    lock(tmp_path)
    child.communicate(b"\n")


def test_a_database_in_another_folder_is_locked_too(tmp_path: Path) -> None:
    database = tmp_path / "shared" / "visavis.db"
    with owned(tmp_path / "one", database=database):
        lock(tmp_path / "two")
        with pytest.raises(DataFolderInUse, match=r"The database .*visavis\.db is in use by another server"):
            lock(tmp_path / "two", database)
    lock(tmp_path / "two", database)


def test_a_lock_file_without_a_process_id_is_a_lock_too(tmp_path: Path) -> None:
    with owned(tmp_path, database=None):
        (tmp_path / LOCK_NAME).write_bytes(b"\xff\n")
        with pytest.raises(DataFolderInUse, match=r"in use by another server$"):
            lock(tmp_path)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataFolderUnusable, match="cannot be used: Not a directory"):
        lock(tmp_path / "file" / "data")
    with pytest.raises(DataFolderUnusable, match=r"The database .* cannot be used: File exists"):
        lock(tmp_path / "data", tmp_path / "file" / "visavis.db")
