"""What a speech endpoint answers, read into samples: true pitch, no clicks, or a refusal."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.sounds import tone, wav, write_sound
from tests.voice.speech_server import pcm16
from visavis.errors import VoiceFailed
from visavis.voice.port import Sound
from visavis.voice.sound import FADE_IN_S, FADE_OUT_S, SoundReader

RATE_HZ = 24_000
TONE = pcm16(tone(RATE_HZ, seconds=0.5))


def read(data: bytes, *, piece: int = 0, content_type: str = "audio/wav", rate_hz: int | None = None) -> list[Sound]:
    """Read an answer that comes in pieces of so many bytes; 0: at once."""
    reader, sounds = SoundReader(content_type=content_type, rate_hz=rate_hz), []
    for begin in range(0, len(data), piece or len(data)):
        sounds += reader.feed(data[begin : begin + (piece or len(data))])
    sounds += reader.finish()
    reader.check_whole()
    return sounds


def joined(sounds: list[Sound]) -> NDArray[np.int16]:
    assert len({sound.rate_hz for sound in sounds}) == 1
    return np.frombuffer(b"".join(sound.pcm for sound in sounds), "<i2")


def assert_same_but_for_edges(sound: NDArray[np.int16], original: NDArray[np.int16], rate_hz: int = RATE_HZ) -> None:
    """The samples are those of the original; only the first and the last milliseconds are softer."""
    assert len(sound) == len(original)
    begin, end = int(FADE_IN_S * rate_hz), len(sound) - int(FADE_OUT_S * rate_hz)
    assert np.array_equal(sound[begin:end], original[begin:end])
    assert np.all(np.abs(sound.astype(int)) <= np.abs(original.astype(int)) + 1) and abs(int(sound[-1])) <= 200


@pytest.mark.parametrize("piece", [0, 1, 7, 1000, 4096])
@pytest.mark.parametrize("declared", [None, 0, 0xFFFFFFFF, 0x7FFFFFFF - 36])
def test_a_wav_is_read_however_it_comes_and_whatever_its_length_says(piece: int, declared: int | None) -> None:
    sounds = read(wav(TONE, RATE_HZ, data_size=declared), piece=piece)
    assert {sound.rate_hz for sound in sounds} == {RATE_HZ}
    assert_same_but_for_edges(joined(sounds), TONE)


@pytest.mark.parametrize("piece", [0, 1, 999])
@pytest.mark.parametrize("declared", [None, 0, 0xFFFFFFFF, 2 * len(TONE)])
def test_a_header_in_every_chunk_is_not_heard(piece: int, declared: int | None) -> None:
    files = b"".join(wav(part, RATE_HZ, data_size=declared) for part in np.array_split(TONE, 7))
    assert_same_but_for_edges(joined(read(files, piece=piece)), TONE)


def test_a_first_header_that_tells_the_length_of_the_first_chunk_alone() -> None:
    data = wav(TONE[:2400], RATE_HZ) + TONE[2400:].tobytes()
    assert_same_but_for_edges(joined(read(data, piece=1200)), TONE)


def test_other_chunks_before_and_after_the_samples_are_not_heard() -> None:
    whole = wav(TONE, RATE_HZ)
    noise = b"LIST" + struct.pack("<I", 5) + b"\x7f" * 6
    before = whole[:36] + noise + whole[36:]
    assert_same_but_for_edges(joined(read(before + noise, piece=500)), TONE)


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 22_050, 44_100, 48_000])
def test_the_rate_of_the_header_counts(rate_hz: int) -> None:
    original = pcm16(tone(rate_hz, seconds=0.3))
    sounds = read(wav(original, rate_hz), rate_hz=RATE_HZ)
    assert {sound.rate_hz for sound in sounds} == {rate_hz}
    assert_same_but_for_edges(joined(sounds), original, rate_hz)


def test_a_rate_that_changes_between_chunks_is_followed() -> None:
    other = pcm16(tone(16_000, seconds=0.25))
    sounds = read(wav(TONE, RATE_HZ) + wav(other, 16_000))
    by_rate = {rate_hz: [one for one in sounds if one.rate_hz == rate_hz] for rate_hz in (RATE_HZ, 16_000)}
    assert_same_but_for_edges(joined(by_rate[RATE_HZ]), TONE)
    assert_same_but_for_edges(joined(by_rate[16_000]), other, 16_000)


def test_stereo_is_mixed() -> None:
    both = np.stack([TONE, TONE], axis=1)
    assert_same_but_for_edges(joined(read(wav(both, RATE_HZ))), TONE)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_other_forms_of_samples_are_read(subtype: str) -> None:
    soundfile = pytest.importorskip("soundfile")
    file = io.BytesIO()
    soundfile.write(file, tone(RATE_HZ, seconds=0.5), RATE_HZ, format="WAV", subtype=subtype)
    sound = joined(read(file.getvalue(), piece=777))
    middle = slice(1000, 11_000)
    allowed = 300 if subtype == "PCM_U8" else 2
    assert np.max(np.abs(sound[middle].astype(int) - TONE[middle].astype(int))) <= allowed


@pytest.mark.parametrize("piece", [0, 1, 3000])
def test_raw_samples_are_read_at_the_rate_that_is_declared(piece: int) -> None:
    raw = TONE.tobytes()
    assert_same_but_for_edges(joined(read(raw, piece=piece, content_type="audio/pcm", rate_hz=RATE_HZ)), TONE)
    (rate_hz,) = {one.rate_hz for one in read(raw, piece=piece, content_type="audio/pcm; rate=22050", rate_hz=RATE_HZ)}
    assert rate_hz == 22_050


def test_raw_samples_of_an_unknown_rate_are_refused() -> None:
    with pytest.raises(VoiceFailed, match="no declared rate"):
        read(TONE.tobytes(), content_type="audio/pcm")


@pytest.mark.parametrize("rate_hz", [4_000, 96_000])
def test_a_rate_beyond_what_speech_has_is_refused(rate_hz: int) -> None:
    with pytest.raises(VoiceFailed, match=str(rate_hz)):
        read(wav(TONE, rate_hz))


@pytest.mark.parametrize("kind", ["mp3", "ogg", "flac", "m4a", "webm"])
@pytest.mark.parametrize("tagged", [False, True])
def test_another_kind_of_file_is_refused_by_name(kind: str, tagged: bool, tmp_path: Path) -> None:
    data = write_sound(tmp_path / f"a.{kind}", tone(RATE_HZ, seconds=0.5), RATE_HZ).read_bytes()
    if kind == "mp3" and not tagged:
        data = data[data.index(b"\xff\xf3") :] if b"\xff\xf3" in data[:4096] else data[10:]
    with pytest.raises(VoiceFailed, match="WAV or PCM"):
        read(data, piece=100, rate_hz=RATE_HZ)


@pytest.mark.parametrize("content_type", ["application/json", "text/html; charset=utf-8", "application/problem+json"])
def test_an_answer_in_words_is_refused(content_type: str) -> None:
    with pytest.raises(VoiceFailed, match="instead of sound"):
        SoundReader(content_type=content_type)


def test_half_an_answer_ends_softly_and_is_told() -> None:
    reader = SoundReader(content_type="audio/wav")
    data = wav(TONE, RATE_HZ)
    sounds = reader.feed(data[: len(data) // 2]) + reader.finish()
    with pytest.raises(VoiceFailed, match="too early"):
        reader.check_whole()
    sound = joined(sounds)
    assert_same_but_for_edges(sound, TONE[: len(sound)])
    assert len(sound) >= len(TONE) // 2 - 100


@pytest.mark.parametrize("data", [b"", b"RIFF", wav(TONE, RATE_HZ)[:40], wav(TONE[:0], RATE_HZ)])
def test_an_answer_without_sound_is_told(data: bytes) -> None:
    reader = SoundReader(content_type="audio/wav", rate_hz=None)
    with pytest.raises(VoiceFailed):
        reader.feed(data)
        reader.finish()
        reader.check_whole()


def test_random_bytes_raise_nothing_else() -> None:
    random = np.random.default_rng(1)
    for size in [*range(64), 2048, 5000]:
        for begin in (b"", b"RIFF\0\0\0\0WAVE", b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0"):
            try:
                read(begin + random.bytes(size) + b"x", piece=11, rate_hz=RATE_HZ)
            except VoiceFailed:
                continue
