"""Recordings without a transcript: keeps the parts whose words are reliable, with the times of their phones.

PocketSphinx' large-vocabulary English model recognises the words, and `align.py` finds the times of their phones. A
word is reliable if its posterior on the best path is high enough, and if a second classifier, which knows no words,
gives the same visemes in most of its steps. By default that is the shipped network; any function that returns a viseme
for each step can take its place. Sequences of reliable words are cut out of the recording in the middle of the words
around them. Decision 0007 tells how correct these labels are.
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

LEAST_POSTERIOR = 0.5  # of a word
LEAST_AGREEMENT = 0.5  # share of a word's steps in which the classifier gives the same of the fifteen visemes
LEAST_WORDS, LEAST_RUN_S = 3, 0.8  # of a sequence
LONGEST_PAUSE_S = 0.7  # within a sequence; a longer pause may contain speech that was not recognised

Classes = NDArray[np.int64]
Classify = Callable[[NDArray[np.int16]], Classes]

_FIFTEEN = np.array([sorted(set(FIFTEEN.values())).index(FIFTEEN[name]) for name in CLASSES])


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """A recognised word, or a pause with the text "". `posterior`: 0 to 1."""

    text: str
    start_s: float
    end_s: float
    posterior: float


class Recogniser:
    """PocketSphinx with its language model, opened once (60 MB)."""

    def __init__(self) -> None:
        from pocketsphinx import Decoder

        self._decoder = Decoder(cmn="batch", loglevel="FATAL")

    def words(self, pcm: NDArray[np.int16]) -> list[Word]:
        """Return the words of speech at 16 kHz on the best path through the lattice; none if there is no path."""
        self._decoder.start_utt()
        self._decoder.process_raw(pcm.tobytes(), full_utt=True)
        self._decoder.end_utt()
        return [
            Word(
                text="" if part.word[0] in "<[+" else re.sub(r"\(\d+\)$", "", part.word),
                start_s=part.start_frame / 100, end_s=(part.end_frame + 1) / 100, posterior=min(1.0, float(part.prob)),
            )
            for part in self._decoder.seg() or ()
        ]  # fmt: skip


def network_visemes(pcm: NDArray[np.int16]) -> Classes:
    """Return the viseme that the shipped network gives for each step of 10 ms."""
    from .evaluate import viseme_track

    return viseme_track(pcm)[1]


def classes_of(segments: list[Segment], steps: int) -> Classes:
    """Return the viseme of each step of 10 ms; steps without a segment are silence."""
    out = np.zeros(steps, np.int64)
    for segment in segments:
        out[round(segment.start_s * 100) : round(segment.end_s * 100)] = segment.viseme
    return out


def agreement(ours: Classes, theirs: Classes) -> NDArray[np.bool_]:
    """Return in which steps two results have the same of the fifteen visemes. One step early or late counts as the
    same.
    """
    a, b = _FIFTEEN[ours], np.pad(_FIFTEEN[theirs], 1, constant_values=-1)
    return (a == b[1:-1]) | (a == b[:-2]) | (a == b[2:])


def reliable(
    words: list[Word],
    agreed: NDArray[np.bool_],
    *,
    least_posterior: float = LEAST_POSTERIOR,
    least_agreement: float = LEAST_AGREEMENT,
) -> list[bool]:
    """Return whether each word is reliable. A pause is reliable if the classifier agrees in most of its steps."""
    return [
        _share(agreed, word) >= least_agreement and (not word.text or word.posterior >= least_posterior)
        for word in words
    ]


def _share(agreed: NDArray[np.bool_], word: Word) -> float:
    part = agreed[round(word.start_s * 100) : round(word.end_s * 100)]
    return float(part.mean()) if len(part) else 1.0


def runs(words: list[Word], keep: list[bool]) -> Iterator[tuple[float, float]]:
    """Return (start_s, end_s) of every sequence of reliable words that is long enough, without pauses at its ends."""
    run: list[Word] = []
    for word, kept in [*zip(words, keep, strict=True), (Word(text="", start_s=0.0, end_s=0.0, posterior=0.0), False)]:
        if kept and (word.text or word.end_s - word.start_s <= LONGEST_PAUSE_S):
            run.append(word)
            continue
        spoken = [i for i, one in enumerate(run) if one.text]
        if len(spoken) >= LEAST_WORDS and run[spoken[-1]].end_s - run[spoken[0]].start_s >= LEAST_RUN_S:
            yield run[spoken[0]].start_s, run[spoken[-1]].end_s
        run = []


def cut(spoken: Spoken, start_s: float, end_s: float) -> Spoken:
    """Return a part of an utterance, as an utterance of its own."""
    part = [
        Segment(start_s=max(s.start_s, start_s) - start_s, end_s=min(s.end_s, end_s) - start_s, viseme=s.viseme)
        for s in spoken.segments
        if min(s.end_s, end_s) > max(s.start_s, start_s)
    ]
    return Spoken(pcm=spoken.pcm[round(start_s * 16000) : round(end_s * 16000)], segments=part)


class Transcriber:
    """The recogniser, the aligner and the classifier together."""

    def __init__(self, classify: Classify = network_visemes) -> None:
        self._recogniser, self._aligner, self._classify = Recogniser(), Aligner(), classify

    def transcribe(self, pcm: NDArray[np.int16]) -> list[Spoken]:
        """Return the parts of English speech at 16 kHz whose words are reliable; there may be none."""
        words = self._recogniser.words(pcm)
        text = " ".join(word.text for word in words if word.text)
        alignment = self._aligner.align(pcm, text, "en-us") if text else None
        if alignment is None or fault(pcm, alignment):
            return []
        visemes = self._classify(pcm)
        agreed = agreement(classes_of(alignment.segments, len(visemes)), visemes)
        whole = Spoken(pcm=pcm, segments=alignment.segments)
        return [cut(whole, start_s, end_s) for start_s, end_s in runs(words, reliable(words, agreed))]
