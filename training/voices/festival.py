"""The voices of festival: diphones cut from recordings, and HTS. Phones come from the Segment relation. One process
speaks many texts.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from visavis.engine.audio.files import read_speech
from visavis.engine.speech.articulation import Segment, from_arpabet
from visavis.engine.speech.visemes import ARPABET, CLASS_INDEX

from . import Spoken

# voice -> phone set
VOICES: dict[str, str] = {
    "kal_diphone": "radio", "ked_diphone": "radio", "cmu_us_slt_arctic_hts": "radio", "lp_diphone": "romance",
    "pc_diphone": "romance",
    "upc_ca_ona_hts": "romance", "hy_fi_mv_diphone": "finnish", "suo_fi_lj_diphone": "finnish",
    "czech_dita": "czech", "czech_machac": "czech",
    "czech_ph": "czech", "czech_krb": "czech",
}  # fmt: skip

_COMMON = {
    "#": "SIL", "pau": "SIL", "_": "SIL", "p": "PP", "b": "PP", "m": "PP", "f": "FF", "v": "FF", "t": "DD",
    "d": "DD", "n": "NN", "l": "LL",
    "k": "KK", "g": "KK", "ng": "KK", "N": "KK", "s": "SS", "z": "SS", "ts": "SS", "dz": "SS", "r": "RR", "R": "RR",
    "rr": "RR",
    "a": "AA", "e": "EH", "E": "EH", "i": "IY", "o": "OH", "O": "OH", "u": "UW", "ax": "AH", "j": "IY", "y": "IY",
    "w": "WW", "h": "HH",
    "S": "CH", "Z": "CH", "tS": "CH", "dZ": "CH", "J": "NN", "JJ": "NN", "L": "LL", "LL": "LL", "D": "TH", "T": "TH",
    "B": "PP", "G": "KK", "x": "HH",
    "nf": "FF", "M": "FF", "@": "AH",
}  # fmt: skip
_PHONES: dict[str, dict[str, str]] = {
    "romance": _COMMON | {"uw": "UW", "iw": "IY", "nX": "KK"},
    "finnish": _COMMON | {"{": "AE", "2": "OH", "y": "UW", "d:": "DD"},
    "czech": _COMMON
    | {"c": "SS", "ch": "HH", "c~": "CH", "s~": "CH", "z~": "CH", "r~": "RR", "dz~": "CH", "d~": "DD", "t~": "DD",
    "n~": "NN", "n*": "KK",
       "m*": "FF", "j": "IY", "h": "HH", "e": "EH", "dz*": "SS", "g*": "KK"},
}  # fmt: skip


def _viseme(phone: str, phone_set: str) -> str:
    """Return the viseme of a phone. Raises KeyError for an unknown phone."""
    table = _PHONES[phone_set]
    for form in (phone, phone.rstrip("1"), phone.rstrip(":1")):
        if form in table:
            return table[form]
    raise KeyError(f"{phone_set}: {phone}")


def _segments(rows: list[tuple[float, str]], phone_set: str) -> list[Segment]:
    start_s, phones = 0.0, []
    for end_s, phone in rows:
        phones.append((start_s, end_s, phone))
        start_s = end_s
    if phone_set == "radio":
        return from_arpabet([(a, b, "SIL" if p == "#" else p) for a, b, p in phones])
    return [Segment(start_s=a, end_s=b, viseme=CLASS_INDEX[_viseme(p, phone_set)]) for a, b, p in phones]


def speak_all(voice: str, texts: list[str], *, stretches: list[float]) -> list[Spoken]:
    """Return the spoken texts, text i slower by the factor `stretches[i]`. Texts with an unknown phone, or on which
    festival fails, are left out.
    """
    spoken: list[Spoken] = []
    with tempfile.TemporaryDirectory() as folder:
        lines = [f"(voice_{voice})"]
        for i, (text, stretch) in enumerate(zip(texts, stretches, strict=True)):
            unquoted = text.replace('"', "").replace("\\", "")
            lines += [
                f"(Parameter.set 'Duration_Stretch {stretch:.3f})",
                f'(unwind-protect (begin (set! u (utt.synth (Utterance Text "{unquoted}"))) (utt.save.segs u '
                f'"{folder}/{i}.seg") '
                f'(utt.save.wave u "{folder}/{i}.wav" \'riff)) nil)',
            ]
        script = Path(folder) / "all.scm"
        script.write_text("\n".join(lines) + "\n")
        subprocess.run(["festival", "-b", str(script)], check=False, capture_output=True, timeout=60 + 10 * len(texts))
        for i in range(len(texts)):
            wav, seg = Path(folder) / f"{i}.wav", Path(folder) / f"{i}.seg"
            if not wav.exists():
                continue
            rows = [
                (float(a), p)
                for a, _, p in (
                    line.split()[:3]
                    for line in seg.read_text().splitlines()
                    if line.split()[0] != "#" or len(line.split()) > 1
                )
            ]
            try:
                spoken.append(Spoken(pcm=read_speech(wav)[0], segments=_segments(rows, VOICES[voice])))
            except KeyError as unknown:
                print(f"  {voice}: left out, unknown phone {unknown}")
    return spoken


assert set(ARPABET) >= {"SIL"}
