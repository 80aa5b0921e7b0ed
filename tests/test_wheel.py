"""An installation from the wheel, without a checkout, contains all files that it needs."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from visavis.engine.portrait.networks.files import check_files

ROOT = Path(__file__).parents[1]
MOST_BYTES = 40_000_000
SHOW_THE_REFERENCE = """
import sys
from pathlib import Path
import visavis
from visavis.api import reference

installed = Path(sys.argv[1])
assert Path(visavis.__file__).is_relative_to(installed), visavis.__file__
assert reference.reference_folder().is_relative_to(installed), reference.reference_folder()
for name in reference.PAGES:
    page = reference.reference_page(name)
    print(name, page.title, len(page.html) > 1000)
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The contents of a wheel that is built from this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    assert wheel.stat().st_size < MOST_BYTES
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "installed")
    return folder / "installed"


def test_the_wheel_shows_the_whole_reference(installed: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SHOW_THE_REFERENCE, str(installed)],
        cwd=tmp_path,
        env={"PYTHONPATH": str(installed), "PATH": ""},
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.splitlines() == [
        "README Reference True",
        "rest REST True",
        "channel Channel True",
        "output Output True",
        "rooms Rooms True",
        "livekit LiveKit rooms True",
        "webhooks Webhooks True",
        "metrics Metrics True",
        "browsers Browsers True",
        "admin Admin True",
        "errors Errors True",
    ]


def test_the_wheel_contains_every_page_of_the_reference_unchanged(installed: Path) -> None:
    pages = {path.name: path.read_bytes() for path in (ROOT / "docs" / "reference").glob("*.md")}
    assert pages == {path.name: path.read_bytes() for path in (installed / "visavis" / "reference").iterdir()}


def test_the_wheel_contains_the_networks_that_read_photos(installed: Path) -> None:
    check_files(folder=installed / "visavis" / "engine" / "portrait" / "networks" / "files")


def test_the_wheel_contains_the_prepared_library_unchanged(installed: Path) -> None:
    def files(package: Path) -> dict[str, bytes]:
        folder = package / "library" / "prepared"
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    assert files(installed / "visavis") == files(ROOT / "src" / "visavis") != {}
