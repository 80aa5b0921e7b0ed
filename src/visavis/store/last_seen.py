"""When each live session was last seen, twice a second, in one small file: the next server reads it after this one has
died.

The file keeps its size. So it can be written on a full disk, and while another program has locked the database.
"""

from __future__ import annotations

import json
import os
import struct
import zlib
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from pathlib import Path

from visavis.machine.file_modes import file_mode

FILE = "last-seen"  # in the data folder
SLOT_BYTES = 256 * 1024  # for 3000 sessions; two slots, because a server may die while it writes one
_HEADER = struct.Struct(">IIQ")  # checksum, length of the text, generation


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Unix milliseconds on the session's own clock. The frames: None before the first one. `end_reason`: of a session
    that has ended then, and whose end is not in the database yet.
    """

    seen_at_ms: int
    first_frame_at_ms: int | None = None
    last_frame_at_ms: int | None = None
    end_reason: str | None = None


class LastSeen:
    """The file of one data folder. Its methods block, for a hundred microseconds on a disk that is well."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / FILE
        self._descriptor: int | None = None
        self._generation = 0

    def write(self, sessions: Mapping[str, Seen]) -> None:
        """Write all live sessions; those that do not fit are left out. Raises OSError."""
        if self._descriptor is None:
            self._descriptor = self._open()
        self._generation += 1
        rows = {name: astuple(one) for name, one in sessions.items()}
        text = json.dumps(rows, separators=(",", ":")).encode()
        while len(text) > SLOT_BYTES - _HEADER.size:
            rows = dict(list(rows.items())[: len(rows) * 3 // 4])
            text = json.dumps(rows, separators=(",", ":")).encode()
        body = _HEADER.pack(zlib.crc32(text), len(text), self._generation) + text
        os.pwrite(self._descriptor, body, (self._generation % 2) * SLOT_BYTES)

    def read(self) -> dict[str, Seen]:
        """Return what was written last; nothing if there is no file, or none that can be read."""
        try:
            with self._path.open("rb") as file:
                slots = [file.read(SLOT_BYTES), file.read(SLOT_BYTES)]
        except OSError:
            return {}
        found = [read for slot in slots if (read := _read_slot(slot)) is not None]
        return max(found, key=lambda one: one[0])[1] if found else {}

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> int:
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, file_mode())
        try:
            if os.fstat(descriptor).st_size < 2 * SLOT_BYTES:
                os.pwrite(descriptor, bytes(2 * SLOT_BYTES), 0)  # no hole: its blocks are taken now
            before = [_HEADER.unpack(os.pread(descriptor, _HEADER.size, at)) for at in (0, SLOT_BYTES)]
            self._generation = max(generation for _, _, generation in before)
        except (OSError, struct.error):
            os.close(descriptor)
            raise
        return descriptor


def _read_slot(slot: bytes) -> tuple[int, dict[str, Seen]] | None:
    """Return the generation of a slot and its sessions, None if it was not written whole."""
    try:
        checksum, length, generation = _HEADER.unpack_from(slot)
        text = slot[_HEADER.size : _HEADER.size + length]
        if not length or zlib.crc32(text) != checksum:
            return None
        rows = json.loads(text)
        return generation, {
            name: Seen(seen_at_ms=seen, first_frame_at_ms=first, last_frame_at_ms=last, end_reason=reason)
            for name, (seen, first, last, reason) in rows.items()
        }
    except (struct.error, ValueError, TypeError, AttributeError):
        return None
