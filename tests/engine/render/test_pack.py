"""The pack on disk."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.engine.render.conftest import motion
from visavis.engine.errors import PackUnreadable
from visavis.engine.pack import avatar_pack as packs
from visavis.engine.pack.avatar_pack import AvatarPack
from visavis.engine.render.cpu import CpuRenderer


def test_a_saved_pack_renders_the_same_face(pack: AvatarPack, tmp_path: Path) -> None:
    pack.save(tmp_path / "pack")
    loaded = AvatarPack.load(tmp_path / "pack")
    assert np.array_equal(loaded.landmarks, pack.landmarks)
    assert np.array_equal(loaded.matte, pack.matte)
    assert np.array_equal(loaded.teeth, pack.teeth)
    assert loaded.head.top == pytest.approx(pack.head.top)
    frame = motion(jawOpen=0.5)
    before = CpuRenderer(pack, 256, 256).render(frame).astype(int)
    after = CpuRenderer(loaded, 256, 256).render(frame).astype(int)
    assert np.abs(before - after).mean() < 1.5  # the pictures are JPEGs


def test_a_pack_is_at_most_ten_megabytes(pack: AvatarPack, tmp_path: Path) -> None:
    pack.save(tmp_path)
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= 10_000_000


def test_what_is_no_pack_is_refused(pack: AvatarPack, tmp_path: Path) -> None:
    with pytest.raises(PackUnreadable):
        AvatarPack.load(tmp_path / "nowhere")
    for name in ("pack.npz", "picture.jpg", "matte.png"):
        folder = tmp_path / name.partition(".")[0]
        pack.save(folder)
        (folder / name).write_bytes(b"not this")
        with pytest.raises(PackUnreadable):
            AvatarPack.load(folder)


@pytest.mark.parametrize("at", [0.2, 0.5, 0.8])
def test_a_pack_damaged_in_the_middle_is_refused(pack: AvatarPack, tmp_path: Path, at: float) -> None:
    pack.save(tmp_path)
    data = bytearray((tmp_path / "pack.npz").read_bytes())
    begin = int(at * len(data))
    data[begin : begin + 64] = bytes(64)
    (tmp_path / "pack.npz").write_bytes(data)
    with pytest.raises(PackUnreadable):
        AvatarPack.load(tmp_path)


def test_a_pack_of_another_format_is_refused(pack: AvatarPack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packs, "FORMAT_VERSION", 999)
    pack.save(tmp_path)
    monkeypatch.undo()
    with pytest.raises(PackUnreadable, match="999"):
        AvatarPack.load(tmp_path)


def test_a_closed_smile_has_no_dark_spots_in_its_corners(pack: AvatarPack) -> None:
    """What an open smile shows dark in its corners stood on closed lips as two spots."""
    luma = cv2.cvtColor(pack.picture, cv2.COLOR_RGB2GRAY).astype(float)
    p, e = pack.landmarks[:, :2], float(np.linalg.norm(pack.landmarks[33, :2] - pack.landmarks[263, :2]))
    for corner, side in ((p[61], -1), (p[291], 1)):
        xs = sorted((int(corner[0] + side * 0.02 * e), int(corner[0] + side * 0.1 * e)))
        beside = luma[int(corner[1] - 0.06 * e) : int(corner[1] + 0.06 * e), xs[0] : xs[1]]
        assert beside.min() > 0.82 * np.median(beside)
