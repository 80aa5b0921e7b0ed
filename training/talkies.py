"""Unpacks the speech of old adventure games from Debian's packages into one folder per speaker, for
`training.recordings`.

    python -m training.talkies --packages / --out FOLDER

Flight of the Amazon Queen has MP3 in one archive, and the words of its dialogues in other files there; they become a
`transcripts.tsv` beside the speech. Drascula has raw bytes at 11,025 Hz and no words. Both are spoken by actors, in
English. Their licences let anybody copy and change the games but not charge for them, so they are used only for
measurement (decision 0007).
"""

from __future__ import annotations

import argparse
import re
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile

QUEEN = Path("usr/share/scummvm/flight-of-the-amazon-queen/queen.1c")
DRASCULA = Path("usr/share/scummvm/drascula/en")
DRASCULA_RATE_HZ = 11025
# The format of queen.1c. Head: QTBL, version, compression, number of entries. Entry: name, bundle, offset, size.
_HEAD, _ENTRY = struct.Struct(">4s6s2xBH"), struct.Struct(">12sBII")
_MP3 = 1
# Bytes before the description of a dialogue: levels, an id, the key of its voices, the numbers of lines.
_DIALOGUE = 20


def queen_files(archive: bytes) -> Iterator[tuple[str, bytes]]:
    """Return (name, content) of each file in a rebuilt queen.1c. Raise ValueError if it is not one, or has no MP3."""
    if len(archive) < _HEAD.size or archive[:4] != b"QTBL":
        raise ValueError("no archive of Flight of the Amazon Queen")
    _, _, compression, count = _HEAD.unpack_from(archive)
    if compression != _MP3 or _HEAD.size + count * _ENTRY.size > len(archive):
        raise ValueError(f"speech compressed in way {compression}, {count} files: not what is known here")
    for k in range(count):
        name, _, offset, size = _ENTRY.unpack_from(archive, _HEAD.size + k * _ENTRY.size)
        if offset + size > len(archive):
            raise ValueError(f"file {k} lies beyond the end")
        yield name.rstrip(b"\0").decode("ascii", "replace"), archive[offset : offset + size]


def queen_words(dialogue: bytes) -> dict[str, str]:
    """Return the text of each voice file of a dialogue (.DOG). A file name contains the id of a line, its speaker, and
    the number of its part; gestures (*12) divide a line into parts.

    A line follows two zero bytes, its id and its length. The hero's lines come first, from some offset on the others'.
    """
    if len(dialogue) < _DIALOGUE + 28:
        return {}
    key, others = (
        struct.unpack_from(">h", dialogue, _DIALOGUE + 4)[0],
        struct.unpack_from(">H", dialogue, _DIALOGUE + 22)[0] + _DIALOGUE,
    )
    said: dict[str, str] = {}
    at = _DIALOGUE + 32
    while at + 5 < len(dialogue):
        zero, line, length = struct.unpack_from(">HHB", dialogue, at)
        text = dialogue[at + 5 : at + 5 + length]
        if (
            zero
            or length < 2
            or len(text) < length
            or not re.fullmatch(rb"[ -~\x80-\xff]+", text)
            or not re.search(rb"[A-Za-z]", text)
        ):
            at += 1
            continue
        who = "P" if at + 4 >= others else "J"
        for k, part in enumerate(re.split(r"\*(?:XY\d\d\([\d,]+\)|\w\w)", text.decode("cp437"))):
            if part.strip():
                said[f"{key:02d}{line:04X}{who}{k + 1:X}"] = " ".join(part.split())
        at += 5 + length
    return said


def queen_speaker(name: str) -> str | None:
    """Return the speaker of a file such as 020001P2.SB: the hero (J), or the person to whom he talks (P) in the
    dialogue with the number of the first two digits.
    """
    told = re.fullmatch(r"(\w{2})\w{3,4}([JP])\w{1,2}\.SB", name.replace(" ", "0"))
    return None if told is None else "joe" if told[2] == "J" else f"p{told[1]}"


def drascula_speaker(name: str) -> str | None:
    """Return the speaker of a file such as VB12.ALS: the letters are the role; the hero has none."""
    told = re.fullmatch(r"([A-Z]*)\d+\.ALS", name)
    return None if told is None else told[1].lower() or "hacker"


def unpack(root: Path, out: Path) -> dict[str, int]:
    """Write the speech of the games that are installed under `root`. Return how many files each speaker has.

    Raises FileNotFoundError if no game is installed.
    """
    counts: dict[str, int] = {}

    def place(speaker: str, name: str) -> Path:
        counts[speaker] = counts.get(speaker, 0) + 1
        (out / speaker).mkdir(parents=True, exist_ok=True)
        return out / speaker / name

    if (root / QUEEN).exists():
        files = [(name.replace(" ", "0"), content) for name, content in queen_files((root / QUEEN).read_bytes())]
        words = {
            file: text
            for name, content in files
            if name.endswith(".DOG")
            for file, text in queen_words(content).items()
        }
        listed: dict[str, list[str]] = {}
        for name, content in files:
            if (speaker := queen_speaker(name)) and content:
                place(f"queen_{speaker}", Path(name).stem + ".mp3").write_bytes(content)
                if text := words.get(Path(name).stem):
                    listed.setdefault(speaker, []).append(f"{Path(name).stem}.mp3\t{text}\n")
        for speaker, rows in listed.items():
            (out / f"queen_{speaker}" / "transcripts.tsv").write_text("".join(rows))
    for path in sorted((root / DRASCULA).glob("*.ALS")):
        if speaker := drascula_speaker(path.name):
            samples = (np.frombuffer(path.read_bytes(), np.uint8).astype(np.int16) - 128) * 256
            soundfile.write(place(f"drascula_{speaker}", path.stem + ".wav"), samples, DRASCULA_RATE_HZ)
    if not counts:
        raise FileNotFoundError(f"neither of the games is installed under {root}")
    return counts


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument(
        "--packages", type=Path, required=True, help="the root under which Debian packages are installed or unpacked"
    )
    options.add_argument("--out", type=Path, required=True)
    a = options.parse_args()
    for speaker, count in sorted(unpack(a.packages, a.out).items()):
        print(f"{speaker}: {count}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
