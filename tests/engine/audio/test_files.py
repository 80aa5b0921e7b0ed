"""Recordings are read as they are, whatever their name, from files and from pipes, or refused in one true line."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from tests.sounds import click, tone, wav, write_sound
from visavis.engine.audio.files import mono_of, read_recording, read_speech, speech_of, to_pcm16
from visavis.engine.errors import AudioUnreadable

CASES = Path(__file__).parents[4] / "shared" / "cases"
cases = pytest.mark.skipif(not CASES.is_dir(), reason="needs ../shared/cases")


def level_of(pcm: NDArray[np.int16]) -> float:
    """Return the root mean square, full scale 1.0."""
    return float(np.sqrt(np.mean((pcm / 32768.0) ** 2)))


def pitch_of(pcm: NDArray[np.int16], rate_hz: int) -> float:
    spectrum = np.abs(np.fft.rfft(pcm * np.hanning(len(pcm))))
    return float(np.argmax(spectrum) * rate_hz / len(pcm))


@pytest.mark.parametrize("ending", ["wav", "flac", "ogg", "mp3"])
@pytest.mark.parametrize(("rate_hz", "channels"), [(8_000, 1), (16_000, 1), (44_100, 2), (48_000, 6)])
def test_any_format_rate_and_number_of_channels_is_read(
    tmp_path: Path, ending: str, rate_hz: int, channels: int
) -> None:
    channels = min(channels, 2) if ending == "mp3" else channels  # MP3 has no more
    path = tmp_path / f"tone.{ending}"
    soundfile.write(path, np.repeat(tone(rate_hz)[:, None], channels, axis=1), rate_hz)
    recording = read_recording(path)
    assert (recording.rate_hz, recording.channels) == (rate_hz, channels)
    pcm, own_rate_hz = read_speech(path)
    assert pcm.dtype == np.int16 and pcm.ndim == 1 and own_rate_hz == rate_hz
    assert abs(len(pcm) - 16_000) < 1_700  # lossy codecs pad
    assert abs(pitch_of(pcm[2_000:14_000], 16_000) - 440) < 3
    assert 8_000 < np.abs(pcm[4_000:12_000]).max() < 24_000


@pytest.mark.parametrize("kind", ["m4a", "webm", "mp3", "ogg", "flac"])
@pytest.mark.parametrize("name", ["speech.mp3", "speech.raw", "speech", "speech.txt"])
def test_what_a_file_is_its_content_says(kind: str, name: str, tmp_path: Path) -> None:
    pcm, rate_hz = read_speech(write_sound(tmp_path / name, tone(48_000), 48_000, kind=kind))
    assert rate_hz == 48_000 and 15_900 < len(pcm) < 17_700
    assert abs(pitch_of(pcm[2_000:14_000], 16_000) - 440) < 3
    assert level_of(pcm[2_000:14_000]) == pytest.approx(0.5 / 2**0.5, rel=0.05)


@pytest.mark.parametrize(
    ("kind", "within_s"), [("m4a", 0.001), ("webm", 0.001), ("mp3", 0.001), ("ogg", 0.001), ("flac", 0)]
)
def test_the_delay_of_a_codec_is_taken_off(kind: str, within_s: float, tmp_path: Path) -> None:
    """Else lips would come early: 1024 samples of AAC at 16 kHz are 64 ms."""
    rate_hz = 48_000 if kind in ("webm", "ogg") else 16_000
    recording = read_recording(write_sound(tmp_path / f"click.{kind}", click(rate_hz, at_s=0.5), rate_hz))
    heard = np.abs(recording.samples[:, 0].astype(float))
    assert abs(np.argmax(heard > 0.3 * heard.max()) / recording.rate_hz - 0.5) <= within_s


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "PCM_32", "PCM_U8", "FLOAT", "DOUBLE"])
def test_samples_keep_their_values(subtype: str, tmp_path: Path) -> None:
    values = np.array([0.0, 0.5, -0.5, 0.25, -1.0, 1 / 128])
    soundfile.write(tmp_path / "values.wav", values, 16_000, subtype=subtype)
    assert read_recording(tmp_path / "values.wav").samples[:, 0].tolist() == (values * 32768).astype(int).tolist()


def test_loud_and_impossible_samples_are_clipped() -> None:
    assert to_pcm16(np.array([2.0, -2.0, np.nan, np.inf, 0.5])).tolist() == [32767, -32768, 0, 32767, 16384]


def test_impossible_samples_of_a_file_are_clipped_too(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "nan.wav", np.array([0.5, np.nan, np.inf, -np.inf]), 16_000, subtype="FLOAT")
    assert read_speech(tmp_path / "nan.wav")[0].tolist() == [16384, 0, 32767, -32768]


@pytest.mark.parametrize("data_size", [0, 0x7FFFFFFF, 0x7FFFF000, 0xFFFFFFFF, 4_000_000])
def test_a_wav_file_that_a_pipe_wrote_reaches_to_its_end(data_size: int, tmp_path: Path) -> None:
    pcm = to_pcm16(tone(16_000))
    (tmp_path / "piped.wav").write_bytes(wav(pcm, 16_000, data_size=data_size))
    assert np.array_equal(read_speech(tmp_path / "piped.wav")[0], pcm)


def through_pipe(data: bytes, folder: Path, *, pcm_rate_hz: int | None = None) -> NDArray[np.int16]:
    pipe = folder / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=[data])
    writer.start()
    try:
        return speech_of(read_recording(pipe, pcm_rate_hz=pcm_rate_hz))
    finally:
        writer.join()


@pytest.mark.parametrize("kind", ["m4a", "webm", "mp3", "ogg", "flac"])
def test_a_pipe_gives_what_the_file_gives(kind: str, tmp_path: Path) -> None:
    path = write_sound(tmp_path / f"tone.{kind}", tone(48_000), 48_000)
    assert np.array_equal(through_pipe(path.read_bytes(), tmp_path), read_speech(path)[0])


def test_raw_pcm_is_read_at_the_stated_rate(tmp_path: Path) -> None:
    pcm = to_pcm16(tone(24_000))
    (tmp_path / "speech.raw").write_bytes(pcm.tobytes())
    recording = read_recording(tmp_path / "speech.raw", pcm_rate_hz=24_000)
    assert np.array_equal(recording.samples[:, 0], pcm) and recording.rate_hz == 24_000
    assert abs(pitch_of(speech_of(recording), 16_000) - 440) < 3
    assert np.array_equal(through_pipe(pcm.tobytes(), tmp_path, pcm_rate_hz=24_000), speech_of(recording))


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [(1, -1, 1.0), (-1, 1, 1.0), (1, 1, 1.0), (1, 0, 0.5), (0, -1, 0.5), (0.5, -1, 0.75)],
)
def test_channels_in_opposite_phase_do_not_cancel_out(
    left: float, right: float, expected: float, tmp_path: Path
) -> None:
    sound = tone(16_000)
    soundfile.write(tmp_path / "stereo.wav", np.stack([left * sound, right * sound], axis=1), 16_000)
    recording = read_recording(tmp_path / "stereo.wav")
    assert level_of(speech_of(recording)) == pytest.approx(expected * 0.5 / 2**0.5, rel=0.01)
    assert level_of(mono_of(recording).samples[:, 0]) == level_of(speech_of(recording))


def test_two_voices_on_two_channels_are_both_heard(tmp_path: Path) -> None:
    both = np.stack([tone(16_000, hz=300), -tone(16_000, hz=1000)], axis=1)
    soundfile.write(tmp_path / "two.wav", both, 16_000)
    spectrum = np.abs(np.fft.rfft(read_speech(tmp_path / "two.wav")[0]))
    assert {int(hz) for hz in np.argsort(spectrum)[-2:]} == {300, 1000}


def refused(path: Path, *, pcm_rate_hz: int | None = None) -> AudioUnreadable:
    with pytest.raises(AudioUnreadable) as raised:
        read_recording(path, pcm_rate_hz=pcm_rate_hz)
    assert "\n" not in raised.value.message
    return raised.value


def test_what_is_no_sound_is_refused_by_name_and_with_what_would_do(tmp_path: Path) -> None:
    (tmp_path / "notes.wav").write_text("not a sound, but a note\n" * 20)
    (tmp_path / "empty.mp3").touch()
    (tmp_path / "noise.bin").write_bytes(np.random.default_rng(1).bytes(50_000))
    assert refused(tmp_path / "notes.wav").message == "notes.wav is not a sound file that can be read"
    assert refused(tmp_path / "empty.mp3").message == "empty.mp3 is empty"
    assert refused(tmp_path / "noise.bin").message.startswith("noise.bin ")
    assert "cannot be read: Is a directory" in refused(tmp_path).message
    with pytest.raises(FileNotFoundError):
        read_recording(tmp_path / "nothing.wav")


def test_raw_pcm_without_its_rate_is_refused_with_the_option_that_states_it(tmp_path: Path) -> None:
    (tmp_path / "speech.raw").write_bytes(to_pcm16(tone(16_000)).tobytes())
    error = refused(tmp_path / "speech.raw")
    assert error.message == "speech.raw has no header that tells its rate"
    assert error.suggestion is not None and "--pcm-rate 16000" in error.suggestion


def test_a_file_with_a_header_is_not_read_as_raw_pcm(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "tone.raw", tone(16_000), 16_000, kind="mp3")
    assert refused(path, pcm_rate_hz=16_000).message == "tone.raw is a MP3 file and tells its own rate"
    (tmp_path / "odd.raw").write_bytes(bytes(1001))
    assert "odd number of bytes" in refused(tmp_path / "odd.raw", pcm_rate_hz=16_000).message


def test_a_picture_and_a_playlist_hold_no_sound(tmp_path: Path) -> None:
    from visavis.library import DEFAULT_PORTRAIT

    assert refused(DEFAULT_PORTRAIT.path).message == "iris.jpg holds pictures and no sound"
    (tmp_path / "list.m3u8").write_text("#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n")
    assert refused(tmp_path / "list.m3u8").message.startswith("list.m3u8 ")


@pytest.mark.parametrize("kind", ["mp3", "ogg", "flac", "webm"])
def test_the_beginning_of_a_file_that_was_cut_off_is_read(kind: str, tmp_path: Path) -> None:
    data = write_sound(tmp_path / f"whole.{kind}", tone(48_000, seconds=4), 48_000).read_bytes()
    (tmp_path / f"cut.{kind}").write_bytes(data[: len(data) * 6 // 10])
    pcm, _ = read_speech(tmp_path / f"cut.{kind}")
    assert 1.5 < len(pcm) / 16_000 < 3.5
    assert abs(pitch_of(pcm[2_000:14_000], 16_000) - 440) < 3


def test_an_mp3_between_other_bytes_is_read(tmp_path: Path) -> None:
    data = write_sound(tmp_path / "tone.mp3", tone(44_100), 44_100).read_bytes()
    (tmp_path / "tagged.mp3").write_bytes(data + b"TAG" + bytes(125) + b"APETAGEX" + bytes(24))
    assert np.array_equal(
        read_speech(tmp_path / "tagged.mp3")[0][:15_000], read_speech(tmp_path / "tone.mp3")[0][:15_000]
    )


def test_a_file_that_is_mostly_damaged_is_refused(tmp_path: Path) -> None:
    data = bytearray(write_sound(tmp_path / "tone.m4a", tone(48_000, seconds=4), 48_000).read_bytes())
    begin = data.index(b"mdat") + 4
    end = data.index(b"moov") - 4
    data[begin:end] = np.random.default_rng(2).bytes(end - begin)
    (tmp_path / "damaged.m4a").write_bytes(data)
    assert refused(tmp_path / "damaged.m4a").message == "damaged.m4a is damaged: most of its sound cannot be decoded"


@cases
@pytest.mark.parametrize("name", ["wav_data_size_zero.wav", "wav_sizes_zero.wav", "m4a_named.mp3"])
def test_recordings_that_failed_are_read(name: str) -> None:
    pcm, rate_hz = read_speech(CASES / name)
    assert rate_hz == 16_000 and len(pcm) >= 24_000 and level_of(pcm) > 0.05


@cases
def test_raw_speech_that_failed_is_read_at_its_rate() -> None:
    raw = speech_of(read_recording(CASES / "speech.raw", pcm_rate_hz=16_000))
    assert np.array_equal(raw, read_speech(CASES / "wav_data_size_zero.wav")[0])
