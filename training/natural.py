"""Speech of people from Debian's packages, with the times of its phones. Decision 0007 names packages, speakers and
licences.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from visavis.engine.audio.files import read_speech
from visavis.engine.audio.mel import RATE_HZ
from visavis.engine.speech.articulation import Segment
from visavis.engine.speech.visemes import CLASS_INDEX

from .voices import Spoken

FESTVOX_RU = Path("usr/share/festival/voices/russian/msu_ru_nsh_clunits")
FILLETS = Path("usr/share/games/fillets-ng")
TUXPAINT = Path("usr/share/tuxpaint/stamps")
ASTERISK = Path("usr/share/asterisk/sounds")

# The folders of Asterisk's prompts and their languages. The source package lists their texts (core-sounds-en.txt etc.).
PROMPTS = {
    "en_US_f_Allison": "en-us",
    "es_MX_f_Allison": "es-419",
    "fr_CA_f_June": "fr",
    "it_IT_m_Carlo": "it",
    "ru_RU_f_IvrvoiceRU": "ru",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A file of speech with its text, its language (a name of espeak-ng) and its speaker."""

    path: Path
    text: str
    language: str
    speaker: str


# The Russian labels of the voice's builder. A doubled letter is a soft consonant or a stressed vowel; "ae" is a reduced
# vowel after a soft consonant, "ay" after a hard one.
_RUSSIAN = {
    "pau": "SIL", **dict.fromkeys(["p", "pp", "b", "bb", "m", "mm"], "PP"),
    **dict.fromkeys(["f", "ff", "v", "vv"], "FF"),
    **dict.fromkeys(["t", "tt", "d", "dd"], "DD"), **dict.fromkeys(["n", "nn"], "NN"), **dict.fromkeys(["l", "ll"],
    "LL"),
    **dict.fromkeys(["k", "kk", "g", "gg", "h", "hh"], "KK"), **dict.fromkeys(["sh", "sch", "zh", "ch"], "CH"),
    **dict.fromkeys(["s", "ss", "z", "zz", "c"], "SS"), **dict.fromkeys(["r", "rr"], "RR"), **dict.fromkeys(["a",
    "aa"], "AA"),
    **dict.fromkeys(["e", "ee"], "EH"), **dict.fromkeys(["y", "yy", "ay"], "AH"), "ae": "IH", **dict.fromkeys(["i",
    "ii", "j"], "IY"),
    "oo": "OH", **dict.fromkeys(["u", "uu", "ur"], "UW"),
}  # fmt: skip


def festvox_ru(folder: Path) -> list[Spoken]:
    """Return the 620 sentences (100 minutes) from which festvox-ru cuts its units: one man reads Russian, labelled by
    the builder of the voice.
    """
    spoken: list[Spoken] = []
    for labels in sorted(folder.glob("lab/*.lab")):
        start_s, segments = 0.0, []
        for line in labels.read_text().splitlines():
            parts = line.split()
            if len(parts) != 3:
                continue
            end_s = float(parts[0])
            if end_s > start_s:
                segments.append(Segment(start_s=start_s, end_s=end_s, viseme=CLASS_INDEX[_RUSSIAN[parts[2]]]))
            start_s = end_s
        spoken.append(Spoken(pcm=read_speech(folder / "wav" / f"{labels.stem}.wav")[0], segments=segments))
    return spoken


def fillets(root: Path, _: Path | None = None) -> list[Recording]:
    """Return the dialogues of fillets-ng-data-cs and -nl: actors in Czech and Dutch; two of them speak most of it."""
    recordings: list[Recording] = []
    for language in ("cs", "nl"):
        for dialogs in sorted((root / FILLETS).glob(f"script/*/dialogs_{language}.lua")):
            lines = re.findall(
                r'dialogId\("([^"]+)",\s*"([^"]+)".*?dialogStr\("((?:[^"\\]|\\.)*)"\)', dialogs.read_text(), re.DOTALL
            )
            for name, font, text in lines:
                path = root / FILLETS / "sound" / dialogs.parent.name / language / f"{name}.ogg"
                who = {"font_small": "small", "font_big": "big"}.get(font, "others")
                if path.exists():
                    recordings.append(
                        Recording(
                            path=path,
                            text=text.replace("\\", ""),
                            language=language,
                            speaker=f"fillets:{language}_{who}",
                        )
                    )
    return recordings


def tuxpaint(root: Path, _: Path | None = None) -> list[Recording]:
    """Return the names of the stamps of tuxpaint-stamps-default, a second or two each. Volunteers read them in a dozen
    languages.
    """
    recordings: list[Recording] = []
    for path in sorted((root / TUXPAINT).rglob("*_desc*.ogg")):
        stamp, _, language = path.stem.partition("_desc")
        language = language.strip("_") or "en"
        listed = path.with_name(f"{stamp}.txt")
        if not listed.exists():
            continue
        lines = listed.read_text(errors="ignore").splitlines()
        texts = dict(line.split(".utf8=", 1) for line in lines if ".utf8=" in line)
        text = lines[0] if language == "en" else texts.get(language)
        if text and "?" not in text[:1]:
            recordings.append(
                Recording(
                    path=path,
                    text=text,
                    language={"en": "en-us"}.get(language, language),
                    speaker=f"tuxpaint:{language}",
                )
            )
    return recordings


def asterisk(root: Path, texts: Path | None) -> list[Recording]:
    """Return Asterisk's prompts in G.722, for the languages whose list of texts ("name: text") is in the folder
    `texts`.
    """
    recordings: list[Recording] = []
    for voice, language in PROMPTS.items() if texts else ():
        listed = texts / f"core-sounds-{voice[:2]}.txt"
        if not listed.exists():
            continue
        for line in listed.read_text().splitlines():
            name, _, text = line.partition(":")
            path = root / ASTERISK / voice / f"{name.strip().removesuffix('.wav')}.g722"
            text = re.sub(r"\[[^\]]*\]|\([^)]*\)|<[^>]*>", " ", text).strip()
            if not line.startswith(";") and text and path.exists():
                recordings.append(Recording(path=path, text=text, language=language, speaker=f"asterisk:{voice}"))
    return recordings


def read_g722(path: Path) -> np.ndarray:
    """Return G.722 at 64 kbit/s as int16 mono at 16 kHz."""
    import av

    with av.open(str(path), format="g722") as box:
        return np.concatenate([frame.to_ndarray().reshape(-1) for frame in box.decode(audio=0)]).astype(np.int16)


def read_recording(path: Path) -> np.ndarray:
    """Return the speech of a file as int16 mono at 16 kHz. It reads G.722 and all formats of libsndfile."""
    return read_g722(path) if path.suffix == ".g722" else read_speech(path)[0]


assert RATE_HZ == 16000
