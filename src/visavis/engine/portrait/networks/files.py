"""The files of the networks. `scripts/fetch_networks.py` puts them beside this module in a checkout; a wheel has them.

They are MediaPipe's models (Apache-2.0, of its wheel 0.10.21). The face mesh is cut into three at the operators that
LiteRT lacks, and `mesh.json` says how they follow each other (`face_mesh.py`).
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from visavis.engine.errors import NetworkFileBroken

FOLDER = Path(__file__).parent / "files"
DIGESTS = {
    "face_short_range.tflite": "bbff11cebd1eb27a1e004cae0b0e63ec8c551cbf34a4451148b4908b8db3eca8",
    "face_full_range.tflite": "2c3728e6da56f21e21a320433396fb06d40d9088f2247c05e5635a688d45dfe1",
    "person.tflite": "9ee168ec7c8f2a16c56fe8e1cfbc514974cbbb7e434051b455635f1bd1462f5c",
    "mesh_1.tflite": "9aea5597e78ae361218eee21d288cb7ca8803bda4a3ec70ff4b789bdd1bdf687",
    "mesh_2.tflite": "bce2c27616c968ff7da658b5b466eb0dd2da44c79a90cbfb0ffbf6e14eae4ae8",
    "mesh_3.tflite": "646d62e6dea83d5817094fcba6799e1dd672905234db0a5a1a8d263aad6f1ad8",
    "mesh.json": "86f316030b650fac8cb92c4e1afe4f51ebb1a2d2496bc557cc93c6293c66e142",
}


def read_file(name: str, *, folder: Path = FOLDER) -> bytes:
    """Return the content of one of the files in DIGESTS. Raises `NetworkFileBroken` if it is missing or another one."""
    try:
        content = (folder / name).read_bytes()
    except OSError as error:
        raise NetworkFileBroken(f"{name} cannot be read: {error.strerror or error}") from error
    if hashlib.sha256(content).hexdigest() != DIGESTS[name]:
        raise NetworkFileBroken(f"{name} is not the file that this version needs")
    return content


def check_files(*, folder: Path = FOLDER) -> None:
    """Raises `NetworkFileBroken` if a file is missing or another one."""
    for name in DIGESTS:
        read_file(name, folder=folder)
