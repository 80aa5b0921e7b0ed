"""Asks the disk under a folder whether it still takes files."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

_MEBIBYTE = 1024 * 1024


def disk_problem(folder: Path, *, least_free_bytes: int) -> str | None:
    """Return what keeps the folder from taking files; None if it takes them. Writes a small file and removes it."""
    trial = folder / f".trial-{os.getpid()}"
    try:
        free_bytes = shutil.disk_usage(folder).free
        if free_bytes < least_free_bytes:
            return f"only {free_bytes // _MEBIBYTE} MiB are free, below {least_free_bytes // _MEBIBYTE} MiB"
        trial.write_bytes(b"\0" * 4096)
    except OSError as error:
        return error.strerror or str(error)
    finally:
        with suppress(OSError):
            trial.unlink(missing_ok=True)
    return None
