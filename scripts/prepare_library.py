"""Prepares the portraits of the library, and keeps the results in src/visavis/library/prepared. To be run when a
portrait or the preparation of photos has changed; tests/library/test_prepared.py says so.

The same photo gives the same files on one machine. Another processor may round the positions of a face differently.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from visavis.engine.pack.prepare import prepare_avatar
from visavis.engine.pack.version import FORMAT_VERSION
from visavis.engine.portrait.report import REPORT_NAME, write_report
from visavis.library import PORTRAITS
from visavis.library.prepared import save_prepared


def prepare_files(photo: bytes) -> dict[str, bytes]:
    """Return the files of the look that is made of a photo. Its report tells no times, which differ in each run."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        report = prepare_avatar(photo, folder)
        files = {path.name: path.read_bytes() for path in folder.iterdir()}
    return files | {REPORT_NAME: write_report(replace(report, steps_ms={})).encode()}


def main() -> None:
    for portrait in PORTRAITS:
        photo = portrait.path.read_bytes()
        files = prepare_files(photo)
        save_prepared(portrait.slug, photo, files, pack_version=FORMAT_VERSION)
        print(f"{portrait.slug}: {sum(map(len, files.values())) / 1000:.0f} kB")


if __name__ == "__main__":
    main()
