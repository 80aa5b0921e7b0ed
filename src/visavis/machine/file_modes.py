"""Who may use the files of the data folder: this user alone, or the folder's group, too (VISAVIS_DATA_MODE).

It belongs to the process, like the umask, which it goes with: what is made without a mode of its own follows the umask.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Literal

DataMode = Literal["private", "group"]

_GROUP_FOLDER = stat.S_IRWXG | stat.S_ISGID  # what is made in it belongs to its group
_GROUP_FILE = stat.S_IRGRP | stat.S_IWGRP
_mode: DataMode = "private"  # set once, by the command


def apply(mode: DataMode) -> None:
    """Make the files of a data folder by this mode from now on. For a process that makes no others: a server, and
    commands on its data.
    """
    global _mode  # noqa: PLW0603  # the umask is the process's, too
    _mode = mode
    if mode == "group":
        os.umask(umask())


def umask() -> int:
    """Return the umask of a server."""
    return 0o007 if _mode == "group" else 0o077


def file_mode() -> int:
    """Return the mode of a file that this user alone, or the group, may read and write."""
    return 0o660 if _mode == "group" else 0o600


def folder_mode() -> int:
    """Return the same for a folder."""
    return 0o770 if _mode == "group" else 0o700


def share(folder: Path, *, but: frozenset[str] = frozenset()) -> None:
    """Open a folder, and all that is ours in it, to its group; nothing happens in private mode. `but`: the names of
    folders that stay as they are.

    What another user of the group has made is that user's to open.
    """
    if _mode == "group":
        for path in _all(folder, but):
            with suppress(OSError):
                _open_to_group(path)


def _all(folder: Path, but: frozenset[str]) -> Iterator[Path]:
    yield folder
    for root, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in but]
        yield from (Path(root, name) for name in (*folders, *files))


def _open_to_group(path: Path) -> None:
    found = path.lstat()
    is_folder = stat.S_ISDIR(found.st_mode)
    if found.st_uid != os.geteuid() or not (is_folder or stat.S_ISREG(found.st_mode)):
        return
    before = stat.S_IMODE(found.st_mode)
    wanted = before | (_GROUP_FOLDER if is_folder else _GROUP_FILE)
    if wanted != before:
        path.chmod(wanted)
