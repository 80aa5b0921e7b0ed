"""`visavis render` and `visavis motion` as commands, with the recordings that people have: played, or refused in one
line.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.sounds import tone, wav, write_sound
from visavis.engine.audio.files import read_recording, read_speech, to_pcm16
from visavis.library import DEFAULT_PORTRAIT, SAMPLE

CASES = Path(__file__).parents[2] / "shared" / "cases"
WITHIN_S = 100


def shell(command: str) -> subprocess.CompletedProcess[str]:
    """Run a line of bash, in which VISAVIS is the command."""
    environment = os.environ | {"VISAVIS": f"{sys.executable} -m visavis.cli", "NO_COLOR": "1", "COLUMNS": "300"}
    return subprocess.run(
        ["bash", "-c", command], env=environment, capture_output=True, text=True, timeout=WITHIN_S, check=False
    )


def openings(path: Path) -> list[float]:
    frames = [json.loads(line)["coefficients"] for line in path.read_text().splitlines()]
    return [frame["jawOpen"] - frame["mouthClose"] for frame in frames]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of speech as many kinds of file."""
    folder = tmp_path_factory.mktemp("recordings")
    pcm = read_speech(SAMPLE)[0][:32_000]
    speech = (pcm / np.float32(32768)).astype(np.float32)
    soundfile.write(folder / "speech.wav", pcm, 16_000)
    (folder / "piped.wav").write_bytes(wav(pcm, 16_000, data_size=0))
    (folder / "speech.raw").write_bytes(pcm.tobytes())
    soundfile.write(folder / "opposite.wav", np.stack([pcm, -pcm], axis=1), 16_000)
    write_sound(folder / "speech.m4a", speech, 16_000)
    write_sound(folder / "named.mp3", speech, 16_000, kind="m4a")
    write_sound(folder / "speech.webm", np.repeat(speech, 3), 48_000)
    (folder / "empty.wav").touch()
    (folder / "silent.wav").write_bytes(wav(pcm[:0], 16_000))
    (folder / "notes.mp3").write_text("milk, bread, eggs\n" * 30)
    return folder


@pytest.fixture(scope="module")
def expected(folder: Path) -> list[float]:
    assert shell(f"$VISAVIS motion --speech {folder}/speech.wav --out {folder}/expected.jsonl").returncode == 0
    moved = openings(folder / "expected.jsonl")
    assert max(moved) > 0.2 and len(moved) == 120
    return moved


@pytest.mark.parametrize(
    ("speech", "within"),
    [
        ("{0}/piped.wav", 0.0),
        ("{0}/opposite.wav", 0.0),
        ("{0}/speech.raw --pcm-rate 16000", 0.0),
        ("<(cat {0}/speech.wav)", 0.0),
        ("<(cat {0}/piped.wav)", 0.0),
        ("/dev/stdin < {0}/piped.wav", 0.0),
        ("/dev/stdin --pcm-rate 16000 < {0}/speech.raw", 0.0),
        ("{0}/speech.m4a", 0.15),
        ("{0}/named.mp3", 0.15),
        ("<(cat {0}/named.mp3)", 0.15),
        ("{0}/speech.webm", 0.15),
    ],
)
def test_any_recording_moves_the_lips(
    speech: str, within: float, folder: Path, tmp_path: Path, expected: list[float]
) -> None:
    done = shell(f"$VISAVIS motion --out {tmp_path}/motion.jsonl --speech " + speech.format(shlex.quote(str(folder))))
    assert (done.returncode, done.stderr) == (0, "")
    moved = openings(tmp_path / "motion.jsonl")[: len(expected)]
    assert len(moved) == len(expected)
    assert float(np.mean(np.abs(np.subtract(moved, expected)))) <= within / 3
    assert float(np.corrcoef(moved, expected)[0, 1]) > 0.9


@pytest.mark.parametrize("command", ["motion --out {1}/out.jsonl", "render --avatar iris --out {1}/out.mp4"])
@pytest.mark.parametrize(
    ("speech", "said"),
    [
        (
            "{0}/speech.raw",
            "speech.raw has no header that tells its rate [AUDIO_UNREADABLE] State its sample rate with",
        ),
        ("{0}/speech.wav --pcm-rate 16000", "speech.wav is a WAV file and tells its own rate [AUDIO_UNREADABLE]"),
        ("{0}/empty.wav", "empty.wav is empty [AUDIO_UNREADABLE]"),
        ("{0}/silent.wav", "silent.wav contains no sound [INVALID_REQUEST]"),
        ("{0}/notes.mp3", "notes.mp3 is not a sound file that can be read [AUDIO_UNREADABLE] Use WAV"),
        ("<(true)", "is empty [AUDIO_UNREADABLE]"),
        (str(DEFAULT_PORTRAIT.path), "iris.jpg holds pictures and no sound [AUDIO_UNREADABLE]"),
    ],
)
def test_what_cannot_be_played_is_refused_in_one_line(
    command: str, speech: str, said: str, folder: Path, tmp_path: Path
) -> None:
    done = shell(f"$VISAVIS {command} --speech {speech}".format(folder, tmp_path))
    assert done.returncode == 1
    assert done.stdout == "" and len(done.stderr.splitlines()) == 1 and said in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("rate_hz", "ending"), [(44_100, "wav"), (24_000, "m4a")])
def test_a_film_keeps_the_rate_and_the_channels_of_its_recording(rate_hz: int, ending: str, tmp_path: Path) -> None:
    sound = np.stack([tone(rate_hz, hz=300), 0.25 * tone(rate_hz, hz=1000)], axis=1)
    if ending == "wav":
        (tmp_path / "speech.wav").write_bytes(wav(to_pcm16(sound), rate_hz))
    else:
        write_sound(tmp_path / f"speech.{ending}", sound, rate_hz)
    out = f"--out {tmp_path}/film.mp4 --size 64x64 --fps 5"
    done = shell(f"$VISAVIS render --avatar iris --speech {tmp_path}/speech.{ending} {out}")
    assert done.returncode == 0, done.stderr
    film = read_recording(tmp_path / "film.mp4")
    assert (film.rate_hz, film.channels) == (rate_hz, 2)
    assert len(film.samples) / rate_hz == pytest.approx(1.0, abs=3 * 1024 / rate_hz)
    left, right = film.samples[: rate_hz // 2 * 2].astype(float).T
    spectra = np.abs(np.fft.rfft([left, right]))
    assert [round(float(np.argmax(spectrum)) * rate_hz / len(left)) for spectrum in spectra] == [300, 1000]
    middle = slice(rate_hz // 4, rate_hz * 3 // 4)
    levels = np.sqrt(np.mean((film.samples[middle] / 32768.0) ** 2, axis=0))
    assert levels == pytest.approx([0.5 / 2**0.5, 0.125 / 2**0.5], rel=0.05)


@pytest.mark.skipif(not CASES.is_dir(), reason="needs ../shared/cases")
@pytest.mark.parametrize("name", ["wav_data_size_zero.wav", "wav_sizes_zero.wav", "m4a_named.mp3"])
def test_recordings_that_failed_move_the_lips(name: str, tmp_path: Path) -> None:
    done = shell(f"$VISAVIS motion --speech {CASES / name} --out {tmp_path}/motion.jsonl")
    assert (done.returncode, done.stderr) == (0, "")
    assert max(openings(tmp_path / "motion.jsonl")) > 0.1
