"""Writes the file of a command whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from visavis.errors import FileUnusable


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Provide a path beside `path` to write to, and rename it to `path` at the end. After an error no part is left, and
    an older file at `path` is unchanged. Raises `FileUnusable` if the disk does not take it.
    """
    partial = path.with_name(f".{path.name}.part")
    try:
        yield partial
        partial.replace(path)
    except OSError as error:
        raise FileUnusable(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
