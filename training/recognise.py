"""Speech whose words nobody wrote down -> the parts of it that can be believed, with the times of their phones.

PocketSphinx' own large-vocabulary English model writes down what it hears, `align.py` says when each phone of that was
said, and then doubt has its say: a word stays only if the recogniser is sure of it (its posterior on the best path) and
if a second witness, who knows no words, hears the same lips in most of its steps (the shipped network; for `witness`
anything that returns a class for each step will do). What is left are runs of believed words, cut out of the recording
in the middle of the doubtful ones. How right such labels are: decision 0007.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visavis.engine.speech.articulation import Segment
from visavis.engine.speech.visemes import CLASSES, FIFTEEN

from .align import Aligner, fault
from .voices import Spoken

LEAST_SURE = 0.5  # posterior of a word
LEAST_AGREED = 0.5  # share of a word's steps in which the witness has the same of the fifteen visemes
LEAST_WORDS, LEAST_RUN_S = 3, 0.8  # of a run
LONGEST_PAUSE_S = 0.7  # within a run; a longer pause may be speech that was taken for none

Classes = NDArray[np.int64]
Witness = Callable[[NDArray[np.int16]], Classes]

_FIFTEEN = np.array([sorted(set(FIFTEEN.values())).index(FIFTEEN[name]) for name in CLASSES])


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """A word that was recognised, or a pause ("" for its text); `sure` is the posterior, 0 to 1."""

    text: str
    start_s: float
    end_s: float
    sure: float


class Recogniser:
    """PocketSphinx with its language model, opened once (60 MB)."""

    def __init__(self) -> None:
        from pocketsphinx import Decoder

        self._decoder = Decoder(cmn="batch", loglevel="FATAL")

    def words(self, pcm: NDArray[np.int16]) -> list[Word]:
        """Return what is said in speech at 16 kHz on the best path through the lattice; nothing when the recogniser
        finds no path.
        """
        self._decoder.start_utt()
        self._decoder.process_raw(pcm.tobytes(), full_utt=True)
        self._decoder.end_utt()
        return [
            Word(
                text="" if part.word[0] in "<[+" else re.sub(r"\(\d+\)$", "", part.word),
                start_s=part.start_frame / 100, end_s=(part.end_frame + 1) / 100, sure=min(1.0, float(part.prob)),
            )
            for part in self._decoder.seg() or ()
        ]  # fmt: skip


def hear(pcm: NDArray[np.int16]) -> Classes:
    """Return the class that the shipped network hears in each step of 10 ms."""
    from .evaluate import viseme_track

    return viseme_track(pcm)[1]


def classes_of(segments: list[Segment], steps: int) -> Classes:
    """Return the class of each step of 10 ms, silence where no segment is."""
    out = np.zeros(steps, np.int64)
    for segment in segments:
        out[round(segment.start_s * 100) : round(segment.end_s * 100)] = segment.viseme
    return out


def agreement(ours: Classes, theirs: Classes) -> NDArray[np.bool_]:
    """Return in which steps two witnesses have the same of the fifteen visemes; a step early or late is no
    disagreement.
    """
    a, b = _FIFTEEN[ours], np.pad(_FIFTEEN[theirs], 1, constant_values=-1)
    return (a == b[1:-1]) | (a == b[:-2]) | (a == b[2:])


def believed(
    words: list[Word], agreed: NDArray[np.bool_], *, least_sure: float = LEAST_SURE, least_agreed: float = LEAST_AGREED
) -> list[bool]:
    """Return of each word whether it is believed; pauses are, where the witness has nothing against them."""
    return [_share(agreed, word) >= least_agreed and (not word.text or word.sure >= least_sure) for word in words]


def _share(agreed: NDArray[np.bool_], word: Word) -> float:
    part = agreed[round(word.start_s * 100) : round(word.end_s * 100)]
    return float(part.mean()) if len(part) else 1.0


def runs(words: list[Word], keep: list[bool]) -> Iterator[tuple[float, float]]:
    """Return (start_s, end_s) of every row of believed words that is long enough; pauses at its ends are left out."""
    row: list[Word] = []
    for word, kept in [*zip(words, keep, strict=True), (Word(text="", start_s=0.0, end_s=0.0, sure=0.0), False)]:
        if kept and (word.text or word.end_s - word.start_s <= LONGEST_PAUSE_S):
            row.append(word)
            continue
        said = [i for i, one in enumerate(row) if one.text]
        if len(said) >= LEAST_WORDS and row[said[-1]].end_s - row[said[0]].start_s >= LEAST_RUN_S:
            yield row[said[0]].start_s, row[said[-1]].end_s
        row = []


def cut(spoken: Spoken, start_s: float, end_s: float) -> Spoken:
    """Return a part of an utterance, as an utterance of its own."""
    part = [
        Segment(start_s=max(s.start_s, start_s) - start_s, end_s=min(s.end_s, end_s) - start_s, viseme=s.viseme)
        for s in spoken.segments
        if min(s.end_s, end_s) > max(s.start_s, start_s)
    ]
    return Spoken(pcm=spoken.pcm[round(start_s * 16000) : round(end_s * 16000)], segments=part)


class Transcriber:
    """Recogniser, aligner and witness together."""

    def __init__(self, witness: Witness = hear) -> None:
        self._recogniser, self._aligner, self._witness = Recogniser(), Aligner(), witness

    def transcribe(self, pcm: NDArray[np.int16]) -> list[Spoken]:
        """Return the parts of English speech at 16 kHz whose words are believed; none where there are no such parts."""
        words = self._recogniser.words(pcm)
        text = " ".join(word.text for word in words if word.text)
        alignment = self._aligner.align(pcm, text, "en-us") if text else None
        if alignment is None or fault(pcm, alignment):
            return []
        heard = self._witness(pcm)
        agreed = agreement(classes_of(alignment.segments, len(heard)), heard)
        whole = Spoken(pcm=pcm, segments=alignment.segments)
        return [cut(whole, start_s, end_s) for start_s, end_s in runs(words, believed(words, agreed))]
