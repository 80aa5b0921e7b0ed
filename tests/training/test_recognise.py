"""Speech without a transcript: which words are reliable, and how it is cut; games' archives, made here."""

from __future__ import annotations

import struct
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from training.recognise import Word, agreement, classes_of, cut, reliable, runs
from training.recordings import transcribe_all, untranscribed_by_speaker
from training.talkies import drascula_speaker, queen_files, queen_speaker, queen_words, unpack
from training.voices import Spoken
from visavis.engine.speech.articulation import Segment
from visavis.engine.speech.visemes import CLASS_INDEX

AA, PP, SS = (CLASS_INDEX[name] for name in ("AA", "PP", "SS"))


def words(*told: tuple[str, float, float]) -> list[Word]:
    """Return words one after another: text, duration and posterior of each."""
    out: list[Word] = []
    for text, lasts_s, posterior in told:
        start_s = out[-1].end_s if out else 0.0
        out.append(Word(text=text, start_s=start_s, end_s=start_s + lasts_s, posterior=posterior))
    return out


def test_a_step_early_is_no_disagreement_and_three_are() -> None:
    ours = np.array([AA] * 10 + [PP] * 10)
    assert agreement(ours, np.roll(ours, 1)[: len(ours)])[1:].all()
    late = np.array([AA] * 13 + [PP] * 7)
    assert (~agreement(ours, late)).sum() == 2  # of the three steps between, the last has a neighbour that agrees


def test_a_word_needs_the_recogniser_and_the_witness() -> None:
    said = words(("sure", 0.4, 0.9), ("unsure", 0.4, 0.05), ("unheard", 0.4, 0.9), ("", 0.4, 0.0))
    agreed = np.array([True] * 80 + [False] * 40 + [True] * 40)
    assert reliable(said, agreed) == [True, False, False, True]


def test_runs_end_at_doubt_and_at_long_pauses() -> None:
    row = [("a", 0.4, 1.0), ("b", 0.4, 1.0), ("c", 0.4, 1.0)]
    said = words(("", 0.3, 1.0), *row, ("?", 0.5, 0.0), *row, ("", 0.2, 1.0), ("d", 0.4, 1.0), ("", 1.0, 1.0), *row[:2])
    keep = [word.text != "?" for word in said]
    # two words at the end are too few
    assert list(runs(said, keep)) == [pytest.approx((0.3, 1.5)), pytest.approx((2.0, 3.8))]


def test_what_is_cut_keeps_its_times() -> None:
    pcm = np.arange(16000, dtype=np.int16)
    whole = Spoken(
        pcm=pcm, segments=[Segment(start_s=0.0, end_s=0.4, viseme=AA), Segment(start_s=0.4, end_s=1.0, viseme=PP)]
    )
    part = cut(whole, 0.25, 0.75)
    assert part.pcm[0] == 4000 and len(part.pcm) == 8000
    assert list(classes_of(part.segments, 50)) == [AA] * 15 + [PP] * 35


def test_speakers_take_turns_and_the_unreadable_are_counted(tmp_path: Path) -> None:
    for name in ("ann/1", "ann/2", "bob/1", "alone"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        soundfile.write(tmp_path / f"{name}.wav", np.zeros(16000, np.int16), 16000)
    (tmp_path / "bob" / "2.wav").write_bytes(b"no sound")
    found = untranscribed_by_speaker(tmp_path, "me")
    assert {speaker: len(paths) for speaker, paths in found.items()} == {"ann": 2, "bob": 2, "me": 1}

    def half(pcm: NDArray[np.int16]) -> list[Spoken]:
        return [Spoken(pcm=pcm[:8000], segments=[Segment(start_s=0.0, end_s=0.5, viseme=SS)])]

    said, counts = transcribe_all(found, half, np.random.default_rng(1), until_s=float("inf"))
    assert {speaker: len(parts) for speaker, parts in said.items()} == {"ann": 2, "bob": 1, "me": 1}
    assert (
        counts["ann"]["s recognised"] == 2
        and sum(n for what, n in counts["bob"].items() if what.startswith("unreadable")) == 1
    )
    assert transcribe_all(found, half, np.random.default_rng(1), until_s=time.monotonic())[0] == {}
    with pytest.raises(FileNotFoundError):
        untranscribed_by_speaker(tmp_path / "nobody", "me")


def archive(*files: tuple[str, bytes], compression: int = 1) -> bytes:
    """Return an archive as the game has it: a table, then the files."""
    head = struct.pack(">4s6s2xBH", b"QTBL", b"CEM10", compression, len(files))
    at, table = len(head) + 21 * len(files), b""
    for name, content in files:
        table += struct.pack(">12sBII", name.encode(), 1, at, len(content))
        at += len(content)
    return head + table + b"".join(content for _, content in files)


def test_files_of_the_amazon_queen() -> None:
    files = [("020001P2.SB", b"mp3"), ("QUEEN.JAS", b"else"), ("02000AJ1.SB", b"")]
    assert list(queen_files(archive(*files))) == files
    for broken in (b"", b"QTBL", archive(*files, compression=3), archive(*files)[:-3]):
        with pytest.raises(ValueError, match=r"archive|compressed|beyond"):
            list(queen_files(broken))
    assert [queen_speaker(name) for name, _ in files] == ["p02", None, "joe"]


def test_words_of_a_dialogue_name_their_voice_files() -> None:
    def lines(*told: tuple[int, bytes]) -> bytes:
        return b"".join(
            struct.pack(">HHB", 0, line, len(text)) + text + b"\0" * (-len(text) % 4 + 1) for line, text in told
        )

    hero, other = lines((6, b"Why a gorilla?*15"), (0x1F, b"Bye.*16*02")), lines((6, b"Well*00I like it."))
    head = struct.pack(">5h6h3H", 1, 9, 7, 2, 1, 0, 0, 0, 0, 0, 0, 32 + len(hero), 0, 0).ljust(32, b"\0")
    said = queen_words(b"AmBk".ljust(20, b"\0") + head + hero + other)
    assert said == {"070006J1": "Why a gorilla?", "07001FJ1": "Bye.", "070006P1": "Well", "070006P2": "I like it."}
    assert queen_words(b"") == {}


def test_speech_of_the_games_is_unpacked_by_speaker(tmp_path: Path) -> None:
    folder = tmp_path / "usr/share/scummvm/drascula/en"
    folder.mkdir(parents=True)
    (folder / "VB12.ALS").write_bytes(bytes([128, 255, 0]))
    (folder / "7.ALS").write_bytes(bytes([128] * 10))
    (folder / "DET.BIN").write_bytes(b"picture")
    assert unpack(tmp_path, tmp_path / "out") == {"drascula_vb": 1, "drascula_hacker": 1}
    samples, rate_hz = soundfile.read(tmp_path / "out/drascula_vb/VB12.wav", dtype="int16")
    assert rate_hz == 11025 and samples.tolist() == [0, 127 * 256, -32768]
    assert drascula_speaker("PTS.ALG") is None
    with pytest.raises(FileNotFoundError):
        unpack(tmp_path / "none", tmp_path / "out")
