"""The stages that a server has started on this machine, as files in its data folder: after the server has died, the
next one finds them there.

Each stage has a socket and an entry. Both are this user's alone, and so is the folder, unless the data folder is shared
with a group: then another user can clean it up, and start stages of their own. An entry has the token that opens the
stage, so that nobody else can connect.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from visavis import __version__
from visavis.errors import HandoverImpossible
from visavis.fleet.identity import folder_identity, write_private
from visavis.machine.file_modes import folder_mode
from visavis.stage.port.address import Address
from visavis.stage.port.messages import OLDEST_PORT_VERSION, PORT_VERSION

FOLDER = "stages"  # in the data folder
MAX_SOCKET_PATH_BYTES = 100  # the system's limit is 104 or 108


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A stage that some server has started. `port_version`, `oldest_port_version`: the newest and the oldest version of
    the port that it speaks. `version`: that of the program. `marks`: the descriptor of its memory for marks of work, in
    its process.
    """

    name: str
    pid: int
    address: Address
    token: str
    port_version: int
    oldest_port_version: int
    version: str
    marks: int | None = None


class Roster:
    """The entries of one data folder."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._folder = data_dir / FOLDER
        self._sockets: Path | None = None  # the folder of the sockets; chosen with the first stage
        self._is_temporary = False

    def new_name(self) -> str:
        return secrets.token_hex(4)

    def address_of(self, name: str) -> Address:
        """Return an address for a stage that is started now. Raises OSError."""
        if self._sockets is None or not self._sockets.is_dir():
            self._folder.mkdir(mode=folder_mode(), parents=True, exist_ok=True)
            self._close_to_others()
            self._is_temporary = not _takes_sockets(self._folder)
            self._sockets = Path(tempfile.mkdtemp(prefix="visavis-")) if self._is_temporary else self._folder
        return Address(path=self._sockets / f"{name}.sock")

    def _close_to_others(self) -> None:
        """Raises OSError, unless the folder is that of another user who shares it with our group."""
        try:
            self._folder.chmod(folder_mode())
        except PermissionError:
            if self._folder.stat().st_mode & 0o777 != folder_mode():
                raise

    def add(self, name: str, *, pid: int, address: Address, token: str, marks: int | None = None) -> None:
        """Write an entry. Until then the stage cannot be found again after this server has died. Raises OSError."""
        plain = {
            "pid": pid,
            "socket": str(address.path),
            "token": token,
            "port_version": PORT_VERSION,
            "oldest_port_version": OLDEST_PORT_VERSION,
            "version": __version__,
            "folder": folder_identity(self._data_dir),
            "marks": marks,
        }
        write_private(self._entry(name), json.dumps(plain))

    def remove(self, name: str, address: Address) -> None:
        for path in (self._entry(name), address.path):
            if path is not None:
                with suppress(OSError):
                    path.unlink()

    def entries(self) -> list[Entry]:
        """Return the entries of this folder's servers. Those of a folder that this one is a copy of are removed."""
        found = []
        for path in sorted(self._folder.glob("*.json")):
            try:
                plain = json.loads(path.read_text(encoding="utf-8"))
                entry = Entry(
                    name=path.stem,
                    pid=int(plain["pid"]),
                    address=Address(path=Path(plain["socket"])),
                    token=str(plain["token"]),
                    port_version=int(plain["port_version"]),
                    oldest_port_version=int(plain.get("oldest_port_version", plain["port_version"])),
                    version=str(plain["version"]),
                    marks=None if plain.get("marks") is None else int(plain["marks"]),
                )
                is_own = plain["folder"] == folder_identity(self._data_dir)
            except (OSError, ValueError, KeyError, TypeError):
                is_own = False
            if is_own:
                found.append(entry)
            else:
                with suppress(OSError):
                    path.unlink()
        return found

    def close(self) -> None:
        """Remove the folder of the sockets if it is a temporary one and no stage needs it any more."""
        if self._is_temporary and self._sockets is not None and not self.entries():
            shutil.rmtree(self._sockets, ignore_errors=True)
            self._sockets = None

    def _entry(self, name: str) -> Path:
        return self._folder / f"{name}.json"


def check_stages_can_be_taken_over(data_dir: Path) -> None:
    """Raises `HandoverImpossible` if a stage speaks no version of the port that this program speaks: it would end its
    sessions.
    """
    for entry in Roster(data_dir).entries():
        if entry.port_version < OLDEST_PORT_VERSION or entry.oldest_port_version > PORT_VERSION:
            raise HandoverImpossible(
                f"The stages of version {entry.version} speak version {entry.port_version} of the port, "
                f"this program versions {OLDEST_PORT_VERSION} to {PORT_VERSION}",
                suggestion="Stop the running server by SIGTERM, which lets speech finish, and start this one",
            )


def _takes_sockets(folder: Path) -> bool:
    """Whether sockets can be in this folder: its path is not too long, and its file system knows them."""
    probe = folder / f"probe-{secrets.token_hex(4)}.sock"
    if len(os.fsencode(probe)) > MAX_SOCKET_PATH_BYTES:
        return False
    with socket.socket(socket.AF_UNIX) as listener:
        try:
            listener.bind(str(probe))
        except OSError:
            return False
    with suppress(OSError):
        probe.unlink()
    return True
