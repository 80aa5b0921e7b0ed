"""Packs and pictures are named by their content: equal content has one name, and any change another."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from visavis.engine.pack_ref import PackRef, digest_of, is_picture_id, picture_id_of

FILES = {"pack.npz": b"arrays", "picture.jpg": b"a face", "background.jpg": b"a wall", "matte.png": b"an outline"}


def folder_of(path: Path, files: dict[str, bytes]) -> Path:
    path.mkdir()
    for name, content in files.items():
        (path / name).write_bytes(content)
    return path


def test_a_digest_is_the_sha256_of_names_sizes_and_contents(tmp_path: Path) -> None:
    layout = b"".join(
        name.encode() + b"\0" + len(FILES[name]).to_bytes(8, "big") + FILES[name] for name in sorted(FILES)
    )
    assert digest_of(folder_of(tmp_path / "pack", FILES)) == hashlib.sha256(layout).hexdigest()


def test_equal_packs_have_one_digest_whatever_lies_beside_them(tmp_path: Path) -> None:
    one = folder_of(tmp_path / "one", FILES)
    other = folder_of(tmp_path / "other", FILES | {"image.jpg": b"the framed photo", "report.json": b"{}"})
    assert digest_of(one) == digest_of(other)


@pytest.mark.parametrize(
    "change",
    [
        {"picture.jpg": b"a fase"},
        {"picture.jpg": b"a face "},
        {"teeth.png": b"teeth"},
        {"teeth.png": b""},
        # the same bytes in the same order, cut between files at another place
        {"background.jpg": b"a wallan outline", "matte.png": b""},
    ],
    ids=",".join,
)
def test_any_change_gives_another_digest(tmp_path: Path, change: dict[str, bytes]) -> None:
    assert digest_of(folder_of(tmp_path / "one", FILES)) != digest_of(folder_of(tmp_path / "other", FILES | change))


def test_a_folder_without_arrays_has_no_digest(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        digest_of(folder_of(tmp_path / "pack", {"picture.jpg": b"a face"}))


def test_a_pack_lies_under_its_look_and_its_digest(tmp_path: Path) -> None:
    digest = "0a" * 32
    ref = PackRef(avatar_id="avat_1", version=3, digest=digest)
    assert ref.folder_in(tmp_path) == tmp_path / "avat_1" / "packs" / digest


@pytest.mark.parametrize("avatar_id", ["", "..", "a/b", "a\0", "avat_é", "a" * 65])
def test_a_name_that_could_leave_its_folder_is_refused(avatar_id: str) -> None:
    with pytest.raises(ValueError, match="avatar"):
        PackRef(avatar_id=avatar_id, version=3, digest="0a" * 32)


@pytest.mark.parametrize("digest", ["", "0A" * 32, "0a" * 31, "../" + "0a" * 32, "0a" * 32 + "\n"])
def test_a_digest_that_is_not_one_is_refused(digest: str) -> None:
    with pytest.raises(ValueError, match="digest"):
        PackRef(avatar_id="avat_1", version=3, digest=digest)


def test_a_picture_is_named_by_its_content() -> None:
    picture_id = picture_id_of(b"a picture")
    assert picture_id == "pict_" + hashlib.sha256(b"a picture").hexdigest()
    assert is_picture_id(picture_id) and picture_id_of(b"another") != picture_id
    assert not any(
        is_picture_id(text) for text in ("", "pict_", "../" + picture_id, picture_id + "/", "pict_" + "A" * 64)
    )
