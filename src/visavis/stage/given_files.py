"""What an operator gives `visavis stage`: the file with its token, and the folder of its cache."""

from __future__ import annotations

import tempfile
from pathlib import Path

from visavis.errors import FileUnusable, SettingInvalid

MIN_TOKEN_CHARS = 16


def check_cache(folder: Path) -> None:
    """Raises `FileUnusable` for a folder in which no file can be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(4096))
            file.flush()
    except OSError as error:
        raise FileUnusable(f"The cache {folder} cannot be written: {error.strerror or error}") from error


def read_token(path: Path) -> str:
    """Raises `SettingInvalid` for a file that cannot be read, and for a token that is too short."""
    try:
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingInvalid(f"The token file {path} cannot be read") from error
    if len(token) < MIN_TOKEN_CHARS:
        raise SettingInvalid(f"The token in {path} must have at least {MIN_TOKEN_CHARS} characters")
    return token
