"""Why this process may not write a folder, in words: whose the folder is, who we are, and what else may refuse us."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

SELINUX = Path("/sys/fs/selinux/enforce")  # "1" while SELinux refuses what its policy does not allow
_DENIED = (errno.EACCES, errno.EPERM)


def reason(path: Path, error: OSError) -> str:
    """Return why `path` could not be made, read or written: if access was denied, with the owner of the folder and
    ours.
    """
    words = error.strerror or str(error)
    if error.errno not in _DENIED:
        return words
    found = _nearest(path)
    try:
        status = found.stat()
    except OSError:
        return f"{words} (this process is user {os.geteuid()} of group {os.getegid()})"
    return (
        f"{words} ({found} belongs to user {status.st_uid} and group {status.st_gid}, mode "
        f"{stat.S_IMODE(status.st_mode):o}; this process is user {os.geteuid()} of group {os.getegid()})"
    )


def advice(error: OSError, *, selinux: Path = SELINUX) -> str:
    """Return what the operator can do about it, as a suggestion."""
    if error.errno not in _DENIED:
        return "Set VISAVIS_DATA_DIR"
    words = f"Give it to user {os.geteuid()} or to its group, with the right to write, or set VISAVIS_DATA_DIR"
    try:
        is_enforcing = selinux.read_text().strip() == "1"
    except OSError:
        is_enforcing = False
    return words + ("; SELinux is on: a container's volume needs the option :Z" if is_enforcing else "")


def _nearest(path: Path) -> Path:
    """Return the path itself, or the nearest folder above it that we can see."""
    for one in (path, *path.absolute().parents):
        try:
            one.stat()
        except OSError:
            continue
        return one
    return path
