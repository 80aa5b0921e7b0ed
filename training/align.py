"""Forced alignment: finds the times of the phones of a known sentence, with the acoustic model in PocketSphinx' wheel.

Words of any language are aligned with the nearest phones of the English model. These only replace the sound: the
visemes come from the word's own pronunciation (espeak-ng's IPA, or the wheel's dictionary for English). Sentences that
fit badly are refused.
"""

from __future__ import annotations

import ctypes
import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visavis.engine.speech.articulation import Segment
from visavis.engine.speech.visemes import ARPABET, CLASS_INDEX, IPA, visemes_of_ipa

LEAST_PHONES, LONGEST_PHONE_S, LONGEST_STOP_S = 3, 0.9, 0.35
PHONES_PER_S = (4.0, 22.0)  # pauses excluded
# If this share of the "silence" is within this many dB of the speech, something is said that is not in the text.
LOUD_SILENCE_DB, LOUD_SILENCE_SHARE = 14.0, 0.25
UNKNOWN_FIT = -22.0  # log score per frame for phones that the second method finds: it gives no scores
_STOPS = frozenset({"P", "B", "T", "D", "K", "G"})

# For each English phone, the letters of the IPA that sound most similar.
_LETTERS = """
    P:p B:bɓʙ M:mɱ T:tʈ D:dɾɖɗ N:nɲɳ K:kqc G:gɡɣɢɠɟ F:fɸ V:vβʋⱱ S:s Z:z HH:hxχħʕɦʁʀ L:lɫɭʎɬɮʟ R:rɹɻɽ Y:j W:wɥʍɰ NG:ŋɴ
    TH:θ DH:ð SH:ʃɕʂç
    ZH:ʒʑʐʝ IY:i IH:ɪɨᵻ EY:e EH:ɛ AE:æ AA:aɑɶ AO:ɒɔ AH:ɐʌəɘɤ ER:ɜɞøœɚɝ UH:ɵʊɯʏ OW:o UW:uʉy
"""
_SOUNDS = {letter: sound for sound, letters in (row.split(":") for row in _LETTERS.split()) for letter in letters}
_TWO = {
    "tʃ": "CH",
    "dʒ": "JH",
    "tɕ": "CH",
    "dʑ": "JH",
    "aɪ": "AY",
    "aʊ": "AW",
    "eɪ": "EY",
    "oʊ": "OW",
    "əʊ": "OW",
    "ɔɪ": "OY",
    "ɔʏ": "OY",
    "aj": "AY",
}


@dataclass(frozen=True, slots=True)
class SpokenPhone:
    """One phone of a word: the English phone with the most similar sound (ARPAbet), and its visemes in order."""

    sound: str
    classes: tuple[str, ...]


class Pronouncer:
    """The letter-to-sound rules of espeak-ng. Only one per process, because the library has global state."""

    def __init__(self) -> None:
        self._lib = ctypes.CDLL("libespeak-ng.so.1")
        self._lib.espeak_Initialize(1, 0, None, 0)
        self._lib.espeak_TextToPhonemes.restype = ctypes.c_char_p

    def words(self, text: str, language: str) -> list[list[SpokenPhone]]:
        """Return the phones of every word of `text`, in the language of an espeak-ng voice. Raises ValueError for an
        unknown language.
        """
        if self._lib.espeak_SetVoiceByName(language.encode()) != 0:
            raise ValueError(f"espeak-ng does not speak {language!r}")
        raw = ctypes.c_char_p(text.encode())
        pointer, clauses = ctypes.pointer(raw), []
        while raw.value is not None:
            clauses.append(
                (self._lib.espeak_TextToPhonemes(pointer, 1, 0x02 | ord("_") << 8) or b"").decode("utf-8", "ignore")
            )
        spoken = re.sub(r"\([^)]*\)", " ", " ".join(clauses))
        words = [[said for symbol in word.split("_") for said in phones_of_ipa(symbol)] for word in spoken.split()]
        return [word for word in words if word]


def phones_of_ipa(symbol: str) -> list[SpokenPhone]:
    """Return the phones of one espeak symbol, such as "ˈaɪ" or "t͡s"; none for a mark without sound."""
    bare = "".join(letter for letter in symbol if letter in IPA)
    if bare in _TWO:
        return [SpokenPhone(_TWO[bare], visemes_of_ipa(bare))]
    shown = visemes_of_ipa(bare)
    # An affricate: from the start, the lips have the shape of the fricative.
    if len(bare) == 2 and bare[0] in "td" and shown == ("SS",):
        return [SpokenPhone(_SOUNDS[letter], shown) for letter in bare]
    return [SpokenPhone(_SOUNDS[letter], (IPA[letter],)) for letter in bare if letter in _SOUNDS]


Found = tuple[SpokenPhone | None, int, int, float]  # a phone or a pause, its first frame, its frames, its log score


@dataclass(frozen=True, slots=True, kw_only=True)
class Alignment:
    """An alignment. `segments`: visemes with their times; `sounds`: (start_s, end_s, ARPAbet or SIL); `fit`: how well
    the model explains the speech, log score per frame.
    """

    segments: list[Segment]
    sounds: list[tuple[float, float, str]]
    fit: float


class Aligner:
    """PocketSphinx, opened once. English pronunciations come from its dictionary, others from espeak-ng."""

    def __init__(self) -> None:
        from pocketsphinx import Decoder

        self._decoder = Decoder(lm=None, cmn="batch", loglevel="FATAL")
        self._pronouncer = Pronouncer()
        self._names: dict[tuple[str, ...], str] = {}

    def pronounce(self, text: str, language: str) -> list[list[list[SpokenPhone]]]:
        """Return the pronunciations of every word."""
        if not language.startswith("en"):
            return [[word] for word in self._pronouncer.words(text, language)]
        ways: list[list[list[SpokenPhone]]] = []
        for word in re.findall(r"[a-z0-9']+", text.lower().replace("’", "'")):
            known = []
            for name in (word, *(f"{word}({k})" for k in range(2, 6))):
                phones = self._decoder.lookup_word(name)
                if phones is None:
                    break
                known.append([SpokenPhone(phone, ARPABET[phone]) for phone in phones.split()])
            ways += [known] if known else [[one] for one in self._pronouncer.words(word, language)]
        return ways

    def _name(self, word: list[SpokenPhone]) -> str:
        """Return the name of this sequence of sounds in the decoder's dictionary; add it if it is new."""
        sounds = tuple(said.sound for said in word)
        if sounds not in self._names:
            self._names[sounds] = f"word{len(self._names)}"
            self._decoder.add_word(self._names[sounds], " ".join(sounds), False)
        return self._names[sounds]

    def align(self, pcm: NDArray[np.int16], text: str, language: str) -> Alignment | None:
        """Return the times of the phones of `text` in speech at 16 kHz, or None if the model does not find the text
        there.

        First the words are found, then the phones within them. If the second pass fails (a word is shorter than its
        phones allow), phones are searched directly; their boundaries are slightly less certain.
        """
        ways = self.pronounce(text, language)
        if not ways or len(pcm) < 3200:
            return None
        found = self._by_words(pcm, ways) or self._by_phones(pcm, ways)
        if not found:
            return None
        segments: list[Segment] = []
        sounds: list[tuple[float, float, str]] = []
        total, frames = 0.0, 0
        for said, start, duration, score in found:
            start_s, end_s = start / 100, (start + duration) / 100
            classes = said.classes if said else ("SIL",)
            sounds.append((start_s, end_s, said.sound if said else "SIL"))
            edges = [start_s, end_s] if len(classes) == 1 else [start_s, start_s + 0.55 * (end_s - start_s), end_s]
            segments += [
                Segment(start_s=a, end_s=b, viseme=CLASS_INDEX[c])
                for a, b, c in zip(edges[:-1], edges[1:], classes, strict=True)
            ]
            if said:
                total, frames = total + score, frames + duration
        return Alignment(segments=segments, sounds=sounds, fit=total / frames) if frames else None

    def _by_words(self, pcm: NDArray[np.int16], ways: list[list[list[SpokenPhone]]]) -> list[Found]:
        named = [{self._name(way): way for way in word} for word in ways]
        if not self._search(pcm, named):
            return []
        try:
            self._decoder.set_alignment()
            self._run(pcm)
        except RuntimeError:
            return []
        by_name = {name: way for word in named for name, way in word.items()}
        found: list[Found] = []
        for word in self._decoder.get_alignment():
            way = by_name.get(word.name)
            for i, phone in enumerate(word):
                found.append((way[i] if way else None, phone.start, phone.duration, float(phone.score)))
        return found

    def _by_phones(self, pcm: NDArray[np.int16], ways: list[list[list[SpokenPhone]]]) -> list[Found]:
        """Return the same, with every phone as a word of its own, and with the first pronunciation of every word."""
        said = [phone for word in ways for phone in word[0]]
        if not self._search(pcm, [{self._name([phone]): [phone]} for phone in said]):
            return []
        rest = iter(said)
        found: list[Found] = []
        for part in self._decoder.seg():
            if not part.word.startswith("("):
                phone = next(rest, None) if part.word.startswith("word") else None
                duration = part.end_frame + 1 - part.start_frame
                found.append((phone, part.start_frame, duration, UNKNOWN_FIT * duration))
        return found if next(rest, None) is None else []

    def _search(self, pcm: NDArray[np.int16], named: list[dict[str, list[SpokenPhone]]]) -> bool:
        """Search for the words in order, each in one of its pronunciations, with optional pauses. Return whether they
        were found.
        """
        grammar = (
            "#JSGF V1.0; grammar said; public <said> = "
            + " ".join("( " + " | ".join(word) + " )" for word in named)
            + " ;"
        )
        self._decoder.add_jsgf_string("said", grammar)
        self._decoder.activate_search("said")
        try:
            self._run(pcm)
        except RuntimeError:
            return False
        return self._decoder.hyp() is not None

    def _run(self, pcm: NDArray[np.int16]) -> None:
        self._decoder.start_utt()
        self._decoder.process_raw(pcm.tobytes(), full_utt=True)
        self._decoder.end_utt()


def fault(pcm: NDArray[np.int16], alignment: Alignment) -> str | None:
    """Return why an alignment cannot be right, or None."""
    spoken = [(a, b, sound) for a, b, sound in alignment.sounds if sound != "SIL"]
    if len(spoken) < LEAST_PHONES:
        return "too short"
    if any(b - a > (LONGEST_STOP_S if sound in _STOPS else LONGEST_PHONE_S) for a, b, sound in spoken):
        return "a phone too long"
    rate = len(spoken) / sum(b - a for a, b, _ in spoken)
    if not PHONES_PER_S[0] <= rate <= PHONES_PER_S[1]:
        return "too fast or too slow"
    steps = len(pcm) // 160
    level_db = 10 * np.log10(np.mean(pcm[: steps * 160].reshape(-1, 160).astype(np.float64) ** 2, axis=1) + 1.0)
    silent = np.ones(steps, bool)
    for a, b, _ in spoken:
        silent[round(a * 100) : round(b * 100)] = False
    if (
        silent.sum() > 10
        and np.mean(level_db[silent] > np.percentile(level_db[~silent], 80) - LOUD_SILENCE_DB) > LOUD_SILENCE_SHARE
    ):
        return "words that are not in the text"
    return None
