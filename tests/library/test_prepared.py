"""The prepared looks of the library belong to its portraits and to this version of the engine."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from visavis import offline
from visavis.engine.pack.avatar_pack import AvatarPack
from visavis.engine.pack.version import FORMAT_VERSION
from visavis.engine.pack_ref import PACK_FILES
from visavis.engine.portrait.report import IMAGE_NAME, PREVIEW_NAME, REPORT_NAME, read_report
from visavis.library import DEFAULT_PORTRAIT, PORTRAITS, LibraryPortrait
from visavis.library import prepared as library
from visavis.library.prepared import PreparedLook, save_prepared

EVERY = pytest.mark.parametrize("portrait", PORTRAITS, ids=[portrait.slug for portrait in PORTRAITS])
SCRIPT = Path(__file__).parents[2] / "scripts" / "prepare_library.py"
AGAIN = "Run .venv/bin/python scripts/prepare_library.py and commit what it writes"


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("prepare_library", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def prepared(portrait: LibraryPortrait) -> PreparedLook:
    look = PreparedLook.find(portrait.slug, portrait.path.read_bytes(), pack_version=FORMAT_VERSION)
    assert look is not None, f"The prepared look of {portrait.slug} is of another photo or version. {AGAIN}"
    return look


@EVERY
def test_each_portrait_has_its_whole_prepared_look(portrait: LibraryPortrait) -> None:
    files = prepared(portrait).read()
    assert set(files) <= {*PACK_FILES, IMAGE_NAME, PREVIEW_NAME, REPORT_NAME}
    assert len(files) >= len(PACK_FILES) - 1 + 3
    assert read_report(files[REPORT_NAME].decode()).verdict == "good"


def test_there_are_prepared_looks_of_portraits_only_and_they_are_small() -> None:
    folders = sorted(library.FOLDER.iterdir())
    assert [folder.name for folder in folders] == sorted(portrait.slug for portrait in PORTRAITS)
    assert sum(path.stat().st_size for folder in folders for path in folder.iterdir()) < 8_000_000


@EVERY
def test_a_portrait_is_prepared_to_the_same_look_again(portrait: LibraryPortrait, tmp_path: Path) -> None:
    """On another processor a face is found a fraction of a pixel elsewhere, so bytes may differ."""
    shipped = prepared(portrait)
    made = script().prepare_files(portrait.path.read_bytes())
    for name, content in made.items():
        (tmp_path / name).write_bytes(content)
    assert set(made) == set(shipped.read()), AGAIN
    new, old = AvatarPack.load(tmp_path), AvatarPack.load(shipped.folder)
    assert new.picture.shape == old.picture.shape and new.teeth.shape == old.teeth.shape, AGAIN
    assert np.abs(new.landmarks - old.landmarks).max() < 0.5, AGAIN
    for name in ("picture", "background", "matte"):
        difference = getattr(new, name).astype(np.int16) - getattr(old, name)
        assert np.abs(difference).mean() < 0.5, f"{name}: {AGAIN}"
    reports = [read_report((folder / REPORT_NAME).read_text()) for folder in (tmp_path, shipped.folder)]
    assert reports[0].remarks == reports[1].remarks, AGAIN


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(library, "FOLDER", tmp_path)
    return tmp_path


def test_a_look_of_another_photo_or_version_is_not_found(folder: Path) -> None:
    save_prepared("ann", b"photo", {"pack.npz": b"pack", "image.jpg": b"image"}, pack_version=3)
    look = PreparedLook.find("ann", b"photo", pack_version=3)
    assert look is not None and look.read() == {"pack.npz": b"pack", "image.jpg": b"image"}
    assert PreparedLook.find("ann", b"another photo", pack_version=3) is None
    assert PreparedLook.find("ann", b"photo", pack_version=4) is None
    assert PreparedLook.find("ben", b"photo", pack_version=3) is None


def test_damaged_files_are_not_given_out(folder: Path) -> None:
    save_prepared("ann", b"photo", {"pack.npz": b"pack"}, pack_version=3)
    look = PreparedLook.find("ann", b"photo", pack_version=3)
    (folder / "ann" / "pack.npz").write_bytes(b"pac")
    assert look is not None
    with pytest.raises(ValueError, match="damaged"):
        look.read()


def test_a_look_that_is_saved_again_keeps_no_older_file(folder: Path) -> None:
    save_prepared("ann", b"photo", {"pack.npz": b"pack", "teeth.png": b"teeth"}, pack_version=3)
    first = PreparedLook.find("ann", b"photo", pack_version=3)
    save_prepared("ann", b"photo", {"pack.npz": b"pack"}, pack_version=3)
    second = PreparedLook.find("ann", b"photo", pack_version=3)
    assert first is not None and second is not None and first.digest != second.digest
    assert second.read() == {"pack.npz": b"pack"}


def test_commands_load_a_portrait_of_the_library_without_preparing_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("it was prepared")

    monkeypatch.setattr(offline, "prepare_avatar", refuse)
    pack = offline.load_avatar("Iris")
    assert np.array_equal(pack.picture, AvatarPack.load(prepared(DEFAULT_PORTRAIT).folder).picture)
