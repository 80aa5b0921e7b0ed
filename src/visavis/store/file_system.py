"""Decides whether SQLite can keep a database on a file system.

In WAL mode SQLite needs memory that all its processes share, and reliable locks. Network file systems have neither
(https://sqlite.org/wal.html, https://sqlite.org/faq.html#q5). Photos and packs may be on them.
"""

from __future__ import annotations

import ctypes
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from visavis.errors import DatabaseUnusable

# `f_type` of statfs(2), from linux/magic.h and the sources of the file systems.
NETWORK_TYPES = {
    0x6969: "NFS",
    0x517B: "SMB",
    0xFF534D42: "SMB",
    0xFE534D42: "SMB",
    0x01021997: "9p",
    0x5346414F: "AFS",
    0x6B414653: "AFS",
    0x73757245: "Coda",
}
FUSE_TYPE = 0x65735546  # a local or a remote file system; mountinfo says which
# The names of file systems in mountinfo.
NETWORK_KINDS = {
    "nfs": "NFS",
    "nfs4": "NFS",
    "cifs": "SMB",
    "smb3": "SMB",
    "smbfs": "SMB",
    "9p": "9p",
    "afs": "AFS",
    "coda": "Coda",
    "fuse.sshfs": "SSHFS",
    "fuse.smbnetfs": "SMB",
    "fuse.glusterfs": "GlusterFS",
    "fuse.davfs": "WebDAV",
    "fuse.rclone": "rclone",
    "fuse.s3fs": "S3",
    "fuse.gcsfuse": "Google Cloud Storage",
}
_STATFS_BYTES = 256  # larger than the structure on any machine; its first member is f_type


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A line of /proc/self/mountinfo. `kind`: nfs4, fuse.sshfs, …; `source`: the mounted device or address."""

    point: str
    kind: str
    source: str


def mount_of(path: str, mountinfo: str) -> Mount | None:
    """Return the mount that contains an absolute path. `mountinfo`: the text of /proc/self/mountinfo (proc(5))."""
    found: Mount | None = None
    for line in mountinfo.splitlines():
        before, separator, after = line.partition(" - ")
        places, names = before.split(" "), after.split(" ")
        if not separator or len(places) < 5 or len(names) < 2:
            continue
        point = _unescaped(places[4])
        # Of several mounts at one point the last one is visible.
        if _is_within(path, point) and (found is None or len(point) >= len(found.point)):
            found = Mount(point=point, kind=names[0], source=_unescaped(names[1]))
    return found


def _unescaped(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), text)


def _is_within(path: str, point: str) -> bool:
    return path == point or path.startswith(point.rstrip("/") + "/")


def network_file_system(statfs_type: int | None, mount: Mount | None) -> str | None:
    """Return the name of the network file system, None for a file system that may hold a database. `statfs_type`: the
    `f_type` of statfs(2), None if the system has no such call.
    """
    named = None if mount is None else NETWORK_KINDS.get(mount.kind)
    if statfs_type is None or statfs_type & 0xFFFFFFFF == FUSE_TYPE:
        return named
    return NETWORK_TYPES.get(statfs_type & 0xFFFFFFFF)


def check_place(database: Path) -> None:
    """Raise `DatabaseUnusable` if the database is on a network file system, as far as that can be detected."""
    folder = database.absolute().parent
    while not folder.exists():
        folder = folder.parent
    mount = _mount_of(folder.resolve())
    name = network_file_system(_statfs_type(folder), mount)
    if name is not None:
        where = "" if mount is None else f" ({mount.source} at {mount.point})"
        raise DatabaseUnusable(
            f"SQLite cannot keep the database {database} on {name}{where}",
            suggestion="Set VISAVIS_DATABASE_URL to a file on a local disk; the data folder may stay where it is",
        )


def _mount_of(folder: Path) -> Mount | None:
    try:
        return mount_of(str(folder), Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return None


def _statfs_type(folder: Path) -> int | None:
    if sys.platform != "linux":
        return None
    answer = ctypes.create_string_buffer(_STATFS_BYTES)
    if ctypes.CDLL(None).statfs(os.fsencode(folder), answer) != 0:
        return None
    return ctypes.c_long.from_buffer(answer).value
