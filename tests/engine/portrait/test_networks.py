"""The networks that read photos answer as MediaPipe itself does, whose answers for the library's portraits lie beside
this file. `scripts/compare-networks` compares more pictures, with answers that MediaPipe gives then.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.engine.portrait.network_pictures import portraits, variants
from visavis.engine.errors import NetworkFileBroken
from visavis.engine.portrait.models import Models
from visavis.engine.portrait.networks import files
from visavis.engine.portrait.networks.face_detector import FULL_RANGE, SHORT_RANGE

ANSWERS = os.environ.get("VISAVIS_MEDIAPIPE_ANSWERS")
RECORDED = Path(__file__).with_name("mediapipe_answers.npz")
RIGHT_IRIS, LEFT_IRIS = 468, 473


class Compared(NamedTuple):
    """A picture and what MediaPipe answered. `person`: every eighth pixel of every eighth row."""

    name: str
    picture: NDArray[np.uint8]
    mesh: NDArray[np.float32]
    near: NDArray[np.float32]
    far: NDArray[np.float32]
    person: NDArray[np.float32]


def compared() -> Iterator[Compared]:
    pictures = portraits() | (variants() if ANSWERS else {})
    answers = np.load(ANSWERS or RECORDED)
    for name, picture in pictures.items():
        person = answers[f"{name}.person"]
        yield Compared(
            name=name,
            picture=picture,
            mesh=answers[f"{name}.mesh"],
            near=answers[f"{name}.near"],
            far=answers[f"{name}.far"],
            person=person[::8, ::8] if ANSWERS else person,
        )


@pytest.fixture(scope="module")
def models() -> Models:
    return Models()


def middle_square(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = picture.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return np.ascontiguousarray(picture[top : top + side, left : left + side])


def test_the_mesh_is_that_of_mediapipe(models: Models) -> None:
    """In per cent of the distance between the irises: at most .02 on portraits, .1 on variants."""
    off: dict[bool, list[float]] = {True: [], False: []}
    for one in compared():
        found = models.mesh(middle_square(one.picture))
        assert (found is not None) == bool(len(one.mesh)), one.name
        if found is not None:
            eyes_px = float(np.linalg.norm(one.mesh[RIGHT_IRIS] - one.mesh[LEFT_IRIS]))
            distance = float(np.linalg.norm(found - one.mesh, axis=1).mean()) / eyes_px * 100
            off[one.name.startswith("variant")].append(distance)
    print(f"\nmesh, per cent of the irises' distance: {np.mean(off[False]):.4f}, worst {max(off[False]):.4f}", end="")
    assert len(off[False]) == len(portraits()) and max(off[False]) <= 0.02
    if ANSWERS:
        print(f"; of {len(off[True])} variants {np.mean(off[True]):.4f}, worst {max(off[True]):.4f}")
        assert len(off[True]) > 50 and max(off[True]) <= 0.1


@pytest.mark.parametrize("layout", [SHORT_RANGE, FULL_RANGE], ids=["short range", "full range"])
def test_the_detectors_find_what_mediapipes_find(models: Models, layout: object) -> None:
    count = 0
    for one in compared():
        full_range = layout is FULL_RANGE
        found = models.faces(one.picture, full_range=full_range, min_score=0.0)
        seen = np.array([(*face.box, *face.eyes.ravel(), face.score) for face in found], np.float32).reshape(-1, 9)
        expected = one.far if full_range else one.near
        assert seen.shape == expected.shape, (one.name, seen, expected)
        np.testing.assert_allclose(seen[:, :8], expected[:, :8], atol=0.02, err_msg=one.name)
        np.testing.assert_allclose(seen[:, 8], expected[:, 8], atol=1e-4, err_msg=one.name)
        count += len(seen)
    assert count >= 7


def test_the_mask_of_persons_is_that_of_mediapipe(models: Models) -> None:
    off = []
    for one in compared():
        mask = models.person(one.picture)
        assert mask.shape == one.picture.shape[:2]
        off.append(float(np.abs(mask[::8, ::8] - one.person).mean()) * 100)
    print(f"\nmask, per cent: worst {max(off):.5f}")
    assert max(off) <= 1


def test_nothing_is_no_face(models: Models) -> None:
    grey = np.full((300, 300, 3), 128, np.uint8)
    assert models.mesh(grey) is None and models.mesh(grey, bold=True) is None
    assert models.faces(grey, full_range=False, min_score=0.0) == []


@pytest.mark.parametrize("name", sorted(files.DIGESTS))
def test_a_file_that_is_damaged_or_missing_is_named(name: str, tmp_path: Path) -> None:
    for other in files.DIGESTS:
        (tmp_path / other).write_bytes(files.read_file(other))
    files.check_files(folder=tmp_path)
    content = bytearray((tmp_path / name).read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / name).write_bytes(content)
    with pytest.raises(NetworkFileBroken, match=name):
        files.check_files(folder=tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(NetworkFileBroken, match=f"{name} cannot be read"):
        files.check_files(folder=tmp_path)
