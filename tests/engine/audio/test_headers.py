"""Sound files are recognised by their first bytes, and speech is never taken for one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.sounds import tone, wav, write_sound
from visavis.engine.audio.files import read_speech, to_pcm16
from visavis.engine.audio.headers import sound_file_of
from visavis.library import GREETING, SAMPLE


@pytest.mark.parametrize(
    ("kind", "name"),
    [("m4a", "M4A"), ("webm", "WebM"), ("mp3", "MP3"), ("ogg", "Ogg"), ("flac", "FLAC"), ("mka", "WebM")],
)
def test_files_are_recognised_by_their_first_bytes(kind: str, name: str, tmp_path: Path) -> None:
    data = write_sound(tmp_path / f"tone.{kind}", tone(48_000), 48_000).read_bytes()
    assert sound_file_of(data) == sound_file_of(data[:2048]) == name


@pytest.mark.parametrize("data_size", [None, 0, 0xFFFFFFFF])
def test_a_wav_file_is_recognised_whatever_length_it_tells(data_size: int | None) -> None:
    assert sound_file_of(wav(to_pcm16(tone(16_000)), 16_000, data_size=data_size)) == "WAV"


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"FORM\0\0\0\x10AIFFCOMM", "AIFF"),
        (b"caff\0\1\0\0desc", "CAF"),
        (b"#!AMR-WB\n\x04", "AMR"),
        (b"RF64\xff\xff\xff\xffWAVEds64", "WAV"),
        (b"ID3\x04\0\0\0\0\x02\x01TSSE", "MP3"),
    ],
)
def test_rarer_headers_are_recognised(data: bytes, name: str) -> None:
    assert sound_file_of(data) == name


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 22_050, 44_100, 48_000])
def test_mp3_without_a_tag_is_recognised_from_two_frames_on(rate_hz: int, tmp_path: Path) -> None:
    data = write_sound(tmp_path / "tone.mp3", tone(rate_hz), rate_hz).read_bytes()
    size = 10 + int.from_bytes(data[6:10], "big")  # the tag is short: its length has no bit above the first seven
    frames = data[size:]
    assert data[:3] == b"ID3" and frames[0] == 0xFF
    assert sound_file_of(frames) == sound_file_of(frames[:2000]) == "MP3"
    assert sound_file_of(frames[:20]) is None


def adts(frames: int, payload_bytes: int = 90) -> bytes:
    size = 7 + payload_bytes
    header = bytes([0xFF, 0xF1, 0x50, 0x80 | size >> 11, size >> 3 & 0xFF, (size & 7) << 5 | 0x1F, 0xFC])
    return (header + bytes(payload_bytes)) * frames


def test_aac_without_a_container_is_recognised() -> None:
    assert sound_file_of(adts(8)) == sound_file_of(adts(2)) == "AAC"
    assert sound_file_of(adts(1)) is None


@pytest.mark.parametrize("path", [SAMPLE, GREETING])
@pytest.mark.parametrize("gain", [0.001, 0.1, 1.0, 8.0])
def test_no_piece_of_speech_is_taken_for_a_file(path: Path, gain: float) -> None:
    pcm = to_pcm16(gain * read_speech(path)[0] / 32768.0).tobytes()
    assert {sound_file_of(pcm[at : at + 640]) for at in range(len(pcm))} == {None}


def test_no_noise_is_taken_for_a_file() -> None:
    draw = np.random.default_rng(5)
    for level in (1, 3, 40, 5_000, 32_767):
        noise = draw.integers(-level, level, 200_000, endpoint=True).astype("<i2").tobytes()
        assert {sound_file_of(noise[at : at + 640]) for at in range(0, len(noise), 3)} == {None}


@pytest.mark.parametrize("data", [b"", b"R", b"RIFF", b"ID3", b"\xff", b"\xff\xfb", b"\xff\xfb\x90\x64", b"\0" * 64])
def test_too_few_bytes_are_no_file(data: bytes) -> None:
    assert sound_file_of(data) is None
