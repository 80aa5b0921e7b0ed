"""Archives of avatar packs, in which packs travel from the service to a stage: a msgpack map from file name to content.

A pack is small (about 1 MB) and its files are already compressed. So an archive is one body and not compressed again.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from visavis.engine.pack_ref import PACK_FILES

MAX_ARCHIVE_BYTES = 64 * 1024 * 1024

_decoder = msgspec.msgpack.Decoder(dict[str, bytes])


def pack_archive(folder: Path) -> bytes:
    """Return an archive of the pack in `folder`, without other files of the folder. Raises OSError if a file cannot be
    read or pack.npz is missing.
    """
    names = [name for name in PACK_FILES if name == "pack.npz" or (folder / name).exists()]
    return msgspec.msgpack.encode({name: (folder / name).read_bytes() for name in names})


def unpack_archive(content: bytes, folder: Path) -> None:
    """Write the files of an archive into `folder`, which exists. Raises ValueError for other content."""
    try:
        files = _decoder.decode(content)
    except msgspec.DecodeError as error:
        raise ValueError(f"this is not an archive of a pack: {error}") from error
    if unknown := set(files) - set(PACK_FILES):
        raise ValueError(f"a pack has no file {min(unknown)[:64]!r}")
    for name, data in files.items():
        (folder / name).write_bytes(data)
