"""Who a server is to its stages: the same server after it was started again on the same data folder, with a higher
epoch.
"""

from __future__ import annotations

import json
import os
import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from visavis.machine.file_modes import file_mode, folder_mode

FILE = "server.json"  # in the data folder

log = structlog.get_logger("visavis.fleet")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerIdentity:
    """`server_id`: the same for all servers of one data folder, one after the other. `epoch`: rises with each start."""

    server_id: str = field(default_factory=lambda: secrets.token_hex(8))
    epoch: int = 1


def next_identity(data_dir: Path) -> ServerIdentity:
    """Return the identity of the server that starts on a data folder now. The caller has locked the folder.

    A copy of the folder is another server. If the file cannot be written, it is logged: a later start may then have the
    same epoch.
    """
    data_dir.mkdir(mode=folder_mode(), parents=True, exist_ok=True)
    path, folder_id = data_dir / FILE, folder_identity(data_dir)
    identity = ServerIdentity()
    with suppress(OSError, ValueError, KeyError, TypeError):
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["folder"] == folder_id:
            identity = ServerIdentity(server_id=str(found["server_id"]), epoch=int(found["epoch"]) + 1)
    plain = {"server_id": identity.server_id, "epoch": identity.epoch, "folder": folder_id}
    try:
        write_private(path, json.dumps(plain), mode=file_mode())
    except OSError as error:
        log.warning("server_identity_not_written", problem=error.strerror or str(error))
    return identity


def folder_identity(folder: Path) -> str:
    """Return what a folder has in common with no copy of it."""
    found = folder.stat()
    return f"{found.st_dev}:{found.st_ino}"


def write_private(path: Path, text: str, *, mode: int = 0o600) -> None:
    """Write a file in one step, by default one that only this user can read. Raises OSError."""
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w", encoding="utf-8") as file:
            file.write(text)
        partial.replace(path)
    except OSError:
        with suppress(OSError):
            partial.unlink()
        raise
