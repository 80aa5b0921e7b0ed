"""An avatar pack as one body of bytes, for the way from the service to a stage: a msgpack map from file name to
content.

A pack is small (about 1 MB) and its files are compressed already, so that it travels whole and as it is.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from visavis.engine.pack_ref import PACK_FILES

MAX_ARCHIVE_BYTES = 64 * 1024 * 1024

_decoder = msgspec.msgpack.Decoder(dict[str, bytes])


def pack_archive(folder: Path) -> bytes:
    """Return the pack in `folder`, and no other file of it. Raises OSError when a file cannot be read or pack.npz is
    missing.
    """
    names = [name for name in PACK_FILES if name == "pack.npz" or (folder / name).exists()]
    return msgspec.msgpack.encode({name: (folder / name).read_bytes() for name in names})


def unpack_archive(content: bytes, folder: Path) -> None:
    """Write the files of a pack into `folder`, which exists. Raises ValueError for anything that is not a pack."""
    try:
        files = _decoder.decode(content)
    except msgspec.DecodeError as error:
        raise ValueError(f"not an archive of a pack: {error}") from error
    if unknown := set(files) - set(PACK_FILES):
        raise ValueError(f"a pack has no file {min(unknown)[:64]!r}")
    for name, data in files.items():
        (folder / name).write_bytes(data)
