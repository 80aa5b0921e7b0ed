"""Films: pictures and sound have their times, and a failed film leaves no file."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.sounds import tone
from visavis.engine.audio.files import read_recording, to_pcm16
from visavis.errors import FileUnusable
from visavis.film import AAC_LAYOUTS, AAC_RATES_HZ, SOUND_RATE_HZ, FilmWriter, SoundForm

WIDTH_PX, HEIGHT_PX = 64, 48


def picture(level: int) -> NDArray[np.uint8]:
    i420 = np.full((HEIGHT_PX * 3 // 2, WIDTH_PX), 128, np.uint8)
    i420[:HEIGHT_PX] = level
    return i420


def click(at_s: float, length_s: float, rate_hz: int) -> NDArray[np.int16]:
    pcm = np.zeros(round(length_s * rate_hz), np.int16)
    begin = round(at_s * rate_hz)
    pcm[begin : begin + rate_hz // 50] = (20_000 * np.sin(np.arange(rate_hz // 50))).astype(np.int16)
    return pcm


def read_pictures(path: Path) -> list[tuple[float, float]]:
    """Return the pictures' times with their mean levels."""
    with av.open(str(path)) as film:
        return [(frame.time or 0.0, float(frame.to_ndarray(format="gray").mean())) for frame in film.decode(video=0)]


def read_sound(path: Path) -> NDArray[np.float32]:
    """Return the sound at SOUND_RATE_HZ, float32 (n,)."""
    with av.open(str(path)) as film:
        sound: NDArray[np.float32] = np.concatenate([frame.to_ndarray()[0] for frame in film.decode(audio=0)])
    return sound


@pytest.mark.parametrize("sound_first", [True, False])
@pytest.mark.parametrize("rate_hz", [16_000, 48_000])
def test_pictures_and_sound_have_their_times(tmp_path: Path, sound_first: bool, rate_hz: int) -> None:
    pcm = click(0.6, 1.0, rate_hz)
    with FilmWriter(tmp_path / "film.mp4", width_px=WIDTH_PX, height_px=HEIGHT_PX, ticks_hz=90_000) as film:
        if sound_first:
            film.write_sound(pcm, rate_hz)
        for at_s, level in ((0.0, 16), (0.1, 60), (0.15, 120), (0.6, 230)):
            film.write_picture(picture(level), at=round(at_s * 90_000))
        if not sound_first:
            film.write_sound(pcm, rate_hz)
    assert film.pictures == 4
    pictures, sound = read_pictures(tmp_path / "film.mp4"), read_sound(tmp_path / "film.mp4")
    assert [time_s for time_s, _ in pictures] == pytest.approx([0.0, 0.1, 0.15, 0.6], abs=1e-4)
    levels = [level for _, level in pictures]
    assert levels == sorted(levels) and levels[-1] - levels[0] > 180
    click_s = float(np.argmax(np.abs(sound) > 0.2)) / SOUND_RATE_HZ
    assert click_s == pytest.approx(0.6, abs=0.03)
    assert [path.name for path in tmp_path.iterdir()] == ["film.mp4"]


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 16_000, 44_100, 96_000])
def test_sound_of_any_rate_begins_with_the_pictures(tmp_path: Path, rate_hz: int) -> None:
    form = SoundForm(rate_hz=rate_hz)
    with FilmWriter(tmp_path / "film.mp4", width_px=WIDTH_PX, height_px=HEIGHT_PX, ticks_hz=25, sound=form) as film:
        film.write_sound(click(0.5, 1.0, rate_hz), rate_hz)
        for n in range(25):
            film.write_picture(picture(n * 8), at=n)
    sound = read_recording(tmp_path / "film.mp4")
    assert (sound.rate_hz, sound.channels) == (rate_hz, 1)
    level = np.abs(sound.samples[:, 0].astype(int))
    assert float(np.argmax(level > 0.3 * level.max())) / rate_hz == pytest.approx(0.5, abs=0.002)
    assert len(level) / rate_hz == pytest.approx(1.0, abs=1024 / rate_hz)


@pytest.mark.parametrize("layout", [layout for layouts in AAC_LAYOUTS.values() for layout in layouts])
def test_every_channel_stays_in_its_place(tmp_path: Path, layout: str) -> None:
    rate_hz, channels = 48_000, av.AudioLayout(layout).nb_channels
    pitches_hz = [
        80 if channel.name == "LFE" else 300 + 100 * n for n, channel in enumerate(av.AudioLayout(layout).channels)
    ]
    pcm = to_pcm16(np.stack([tone(rate_hz, hz=hz, level=0.2) for hz in pitches_hz], axis=1))
    form = SoundForm.of(rate_hz=rate_hz, layout=layout, channels=channels)
    assert form.layout == layout
    with FilmWriter(tmp_path / "film.mp4", width_px=WIDTH_PX, height_px=HEIGHT_PX, ticks_hz=25, sound=form) as film:
        film.write_sound(pcm, rate_hz)
        film.write_picture(picture(100), at=0)
    samples = read_recording(tmp_path / "film.mp4").samples[:rate_hz]
    spectra = np.abs(np.fft.rfft(samples.astype(float), axis=0))
    assert np.argmax(spectra, axis=0).tolist() == pitches_hz


@pytest.mark.parametrize(
    ("rate_hz", "layout", "channels", "form"),
    [
        (22_050, "stereo", 2, SoundForm(rate_hz=22_050, layout="stereo")),
        (22_255, "1 channels", 1, SoundForm(rate_hz=24_000, layout="mono")),
        (192_000, "2 channels", 2, SoundForm(rate_hz=96_000, layout="stereo")),
        (4_000, "mono", 1, SoundForm(rate_hz=8_000, layout="mono")),
        (48_000, "5.1(side)", 6, SoundForm(rate_hz=48_000, layout="5.1")),
    ],
)
def test_a_form_that_a_film_does_not_have_becomes_the_next(
    rate_hz: int, layout: str, channels: int, form: SoundForm
) -> None:
    assert SoundForm.of(rate_hz=rate_hz, layout=layout, channels=channels) == form
    assert form.rate_hz in AAC_RATES_HZ


def test_pictures_at_a_fixed_rate_fill_the_film(tmp_path: Path) -> None:
    with FilmWriter(tmp_path / "film.mp4", width_px=WIDTH_PX, height_px=HEIGHT_PX, ticks_hz=60) as film:
        film.write_sound(click(0.5, 1.0, 16_000), 16_000)
        for n in range(60):
            film.write_picture(picture(n * 4), at=n)
    pictures, sound = read_pictures(tmp_path / "film.mp4"), read_sound(tmp_path / "film.mp4")
    assert [time_s for time_s, _ in pictures] == pytest.approx([n / 60 for n in range(60)], abs=1e-3)
    assert len(sound) / SOUND_RATE_HZ == pytest.approx(1.0, abs=0.05)


def test_a_picture_at_the_time_of_the_last_one_comes_one_tick_later(tmp_path: Path) -> None:
    with FilmWriter(tmp_path / "film.mp4", width_px=WIDTH_PX, height_px=HEIGHT_PX, ticks_hz=1000) as film:
        for at in (0, 500, 500, 400, 900):
            film.write_picture(picture(at // 4), at=at)
        film.write_sound(np.zeros(0, np.int16), 48_000)
    with av.open(str(tmp_path / "film.mp4")) as box:
        assert [frame.time for frame in box.decode(video=0)] == pytest.approx([0.0, 0.5, 0.501, 0.502, 0.9])


def test_a_film_that_fails_leaves_no_file_and_does_not_change_an_older_one(tmp_path: Path) -> None:
    def fail(path: Path) -> None:
        with (
            pytest.raises(RuntimeError),
            FilmWriter(path, width_px=WIDTH_PX, height_px=HEIGHT_PX, ticks_hz=25) as film,
        ):
            film.write_picture(picture(100), at=0)
            raise RuntimeError

    fail(tmp_path / "film.mp4")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "film.mp4").write_bytes(b"an older film")
    fail(tmp_path / "film.mp4")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"an older film"]


def test_a_picture_of_another_size_is_scaled(tmp_path: Path) -> None:
    with FilmWriter(tmp_path / "film.mp4", width_px=WIDTH_PX, height_px=HEIGHT_PX, ticks_hz=25) as film:
        film.write_picture(picture(30), at=0)
        large = np.full((HEIGHT_PX * 3, WIDTH_PX * 2), 128, np.uint8)
        large[: HEIGHT_PX * 2] = 200
        film.write_picture(large, at=1)
    assert [level for _, level in read_pictures(tmp_path / "film.mp4")] == pytest.approx([16, 214], abs=4)  # full range


def test_a_film_that_cannot_be_renamed_leaves_no_file(tmp_path: Path) -> None:
    (tmp_path / "film.mp4").mkdir()
    with (
        pytest.raises(FileUnusable, match="Is a directory"),
        FilmWriter(tmp_path / "film.mp4", width_px=WIDTH_PX, height_px=HEIGHT_PX, ticks_hz=25) as film,
    ):
        film.write_picture(picture(100), at=0)
    assert [path.name for path in tmp_path.rglob("*")] == ["film.mp4"]


def test_closing_twice_and_discarding_a_closed_film_change_nothing(tmp_path: Path) -> None:
    film = FilmWriter(tmp_path / "film.mp4", width_px=WIDTH_PX, height_px=HEIGHT_PX, ticks_hz=25)
    film.write_picture(picture(100), at=0)
    film.close()
    written = (tmp_path / "film.mp4").read_bytes()
    film.close()
    film.discard()
    assert (tmp_path / "film.mp4").read_bytes() == written
