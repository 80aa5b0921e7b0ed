"""`visavis render`: films of a photo and of an avatar of a server, without a session or a room."""

from __future__ import annotations

from pathlib import Path

import av
import httpx
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from visavis.errors import NotFound
from visavis.library import PORTRAITS, SAMPLE
from visavis.offline import render_film
from visavis.server import RunningServer

SECONDS = 1.2
FPS = 25
SIZE_PX = 128


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    samples, rate_hz = soundfile.read(SAMPLE, frames=int(soundfile.info(SAMPLE).samplerate * SECONDS))
    path = tmp_path_factory.mktemp("speech") / "speech.wav"
    soundfile.write(path, samples, rate_hz)
    return path


def render(avatar: str, speech: Path, out: Path, *, seed: int = 0) -> None:
    render_film(avatar=avatar, speech=speech, out=out, width_px=SIZE_PX, height_px=SIZE_PX, fps=FPS, seed=seed)


def pictures_of(film: Path) -> list[NDArray[np.uint8]]:
    with av.open(str(film)) as box:
        return [np.asarray(frame.to_ndarray(format="gray"), np.uint8) for frame in box.decode(video=0)]


def first_avatar(server: RunningServer, query: str = "") -> dict[str, str]:
    answer = httpx.get(f"{server.base_url}/v1/avatars{query}", headers={"x-api-key": server.api_key})
    avatar: dict[str, str] = answer.json()["avatars"][0]
    return avatar


@pytest.fixture
def character_id(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """The default avatar of a running server. This process uses the same data folder."""
    monkeypatch.setenv("VISAVIS_DATA_DIR", str(server.services.settings.data_dir))
    return first_avatar(server)["avatar_id"]


def test_a_character_is_rendered_as_its_first_look(
    server: RunningServer, character_id: str, speech: Path, tmp_path: Path
) -> None:
    look_id = first_avatar(server, f"?parent_id={character_id}")["avatar_id"]
    render(look_id, speech, tmp_path / "look.mp4")
    render(character_id, speech, tmp_path / "character.mp4")
    assert np.array_equal(pictures_of(tmp_path / "look.mp4"), pictures_of(tmp_path / "character.mp4"))


def test_the_same_seed_gives_the_same_film(character_id: str, speech: Path, tmp_path: Path) -> None:
    for name, seed in (("first", 1), ("again", 1), ("other", 2)):
        render(character_id, speech, tmp_path / f"{name}.mp4", seed=seed)
    first, again, other = (pictures_of(tmp_path / f"{name}.mp4") for name in ("first", "again", "other"))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_photo_speaks_for_as_long_as_the_recording(speech: Path, tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    render(str(PORTRAITS[0].path), speech, film)
    pictures = pictures_of(film)
    assert len(pictures) == round(SECONDS * FPS)
    assert pictures[0].shape == (SIZE_PX, SIZE_PX)
    assert max(np.abs(picture.astype(int) - pictures[0]).max() for picture in pictures) > 30, "nothing moved"
    with av.open(str(film)) as box:
        sound = box.streams.audio[0]
        assert sound.duration is not None and sound.time_base is not None
        assert float(sound.duration * sound.time_base) == pytest.approx(SECONDS, abs=0.05)


def test_a_portrait_of_the_library_can_be_named(speech: Path, tmp_path: Path) -> None:
    render("tomas", speech, tmp_path / "film.mp4")
    with av.open(str(tmp_path / "film.mp4")) as box:
        assert sum(1 for _ in box.decode(video=0)) == round(SECONDS * FPS)


@pytest.mark.parametrize("avatar", ["no-photo.jpg", "avat_01ARZ3NDEKTSV4RRFFQ69G5FAV"])
def test_an_unknown_avatar_is_refused(
    avatar: str, speech: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VISAVIS_DATA_DIR", str(tmp_path / "data"))
    with pytest.raises(NotFound, match="no avatar"):
        render(avatar, speech, tmp_path / "film.mp4")
