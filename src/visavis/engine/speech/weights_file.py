"""The file with the weights of the network that hears phones. `network.py` reads it."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

from visavis.engine.errors import NetworkFileBroken

WEIGHTS = Path(__file__).parent / "network.npz"


def check_weights(path: Path = WEIGHTS) -> None:
    """Compare the content of the file with its checksums. Raises `NetworkFileBroken` if it is missing or damaged."""
    try:
        with zipfile.ZipFile(path) as file:
            damaged = file.testzip()
    except OSError as error:
        raise NetworkFileBroken(f"{path.name} cannot be read: {error.strerror or error}") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError):
        damaged = path.name
    if damaged is not None:
        raise NetworkFileBroken(f"{path.name} is damaged")
