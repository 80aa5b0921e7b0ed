"""One utterance with the audio that was not yet played, as it arrived. Pure. A fleet keeps it, so that another stage
goes on with it; a stage keeps it, so that it can tell the next server.

Nothing is copied: the pieces are the bytes that arrived, and a piece is dropped when it has been played. Only tiny
pieces are joined. Positions are samples at 48 kHz since the utterance began.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import msgspec

from visavis.engine.motion.mood import Mood
from visavis.engine.speech.phones import TimedViseme
from visavis.stage.port.so_far import UtteranceSoFar
from visavis.stage.port.values import Speech
from visavis.stage.timeline import PLAYOUT_RATE_HZ

JOINED_BYTES = 2048  # smaller pieces are joined up to this size, so that a flood of them costs no more than their audio


@dataclass(slots=True)
class _Piece:
    """`begins_at`: the exact position of its first sample. `samples`: how many it completes, at its rate. `continues`:
    its first byte is the second half of a sample.
    """

    speech: Speech
    begins_at: float
    samples: int
    continues: bool

    @property
    def ends_at(self) -> float:
        return self.begins_at + self.samples * PLAYOUT_RATE_HZ / self.speech.sample_rate_hz


@dataclass(slots=True, kw_only=True)
class KeptUtterance:
    """`open`: it can get more audio. `half_sample`: the byte that was played or waits before the first piece."""

    utterance_id: str
    first_number: int
    named: bool = False
    open: bool = True
    started: bool = False
    played_samples: int = 0
    mood: Mood | None = None  # of the audio before the first piece
    half_sample: bytes = b""
    _pieces: deque[_Piece] = field(default_factory=deque)
    _received: float = 0.0
    _cut_at_hz: int = 0  # the audio ends within a sample at this rate; 0: it does not

    @classmethod
    def of(cls, so_far: UtteranceSoFar) -> KeptUtterance:
        """Return an utterance that another server has kept, or that a stage has told."""
        kept = cls(
            utterance_id=so_far.utterance_id,
            first_number=so_far.first_number,
            named=so_far.named,
            started=so_far.started,
            played_samples=so_far.played_samples,
            mood=so_far.mood,
        )
        kept._received = so_far.played_samples
        for piece in so_far.pieces:
            kept.add(piece)
        kept.open = so_far.open
        return kept

    def add(self, speech: Speech) -> None:
        """Add a piece of audio that was taken."""
        if not speech.pcm:
            return
        rate_hz = speech.sample_rate_hz
        continues = self._cut_at_hz == rate_hz
        size_bytes = len(speech.pcm) + continues
        self._cut_at_hz = rate_hz if size_bytes % 2 else 0
        piece = _Piece(speech, self._received, size_bytes // 2, continues)
        self._received = piece.ends_at
        last = self._pieces[-1] if self._pieces else None
        if last is not None and _can_join(last.speech, speech):
            last.speech = msgspec.structs.replace(last.speech, pcm=last.speech.pcm + speech.pcm)
            last.samples += piece.samples
        else:
            self._pieces.append(piece)

    def played(self, samples: int) -> None:
        """So much has been played: drop the pieces before."""
        self.played_samples = samples
        while self._pieces and self._pieces[0].ends_at <= samples:
            piece = self._pieces.popleft()
            self.half_sample = piece.speech.pcm[-1:] if _is_cut(piece) else b""
            self.mood = piece.speech.mood or self.mood

    @property
    def size_bytes(self) -> int:
        """The audio that is kept."""
        return sum(len(piece.speech.pcm) for piece in self._pieces)

    def so_far(self) -> UtteranceSoFar:
        """Return the utterance as another stage goes on with it."""
        at, pieces, mood = self.played_samples, [piece.speech for piece in self._pieces], self.mood
        if self._pieces:
            first = self._pieces[0]
            rate_hz = first.speech.sample_rate_hz
            played = max(0, int((at - first.begins_at) * rate_hz // PLAYOUT_RATE_HZ))
            at = round(first.begins_at + played * PLAYOUT_RATE_HZ / rate_hz)
            pieces[0] = self._rest(first, played)
            mood = (first.speech.mood if played else None) or mood
        elif self.half_sample and self._cut_at_hz:
            pieces = [Speech(pcm=self.half_sample, sample_rate_hz=self._cut_at_hz, number=self.first_number)]
        return UtteranceSoFar(
            utterance_id=self.utterance_id,
            named=self.named,
            open=self.open,
            first_number=self.first_number,
            started=self.started,
            played_samples=at,
            mood=mood,
            pieces=tuple(pieces),
        )

    def _rest(self, piece: _Piece, played: int) -> Speech:
        """Return what follows the first `played` samples of the first piece."""
        speech = piece.speech
        pcm = self.half_sample + speech.pcm if piece.continues and self.half_sample else speech.pcm
        if not played:
            return msgspec.structs.replace(speech, pcm=pcm)
        visemes = speech.visemes
        if visemes is not None:
            played_ms = played * 1000 / speech.sample_rate_hz
            visemes = tuple(
                TimedViseme(
                    viseme=one.viseme, start_ms=max(0.0, one.start_ms - played_ms), end_ms=one.end_ms - played_ms
                )
                for one in visemes
                if one.end_ms > played_ms
            )
        return msgspec.structs.replace(speech, pcm=pcm[2 * played :], visemes=visemes, mood=None)


def _is_cut(piece: _Piece) -> bool:
    """Whether the piece ends within a sample."""
    return (len(piece.speech.pcm) + piece.continues) % 2 == 1


def _can_join(last: Speech, speech: Speech) -> bool:
    plain = last.visemes is None and speech.visemes is None and speech.mood in (None, last.mood)
    small = len(last.pcm) + len(speech.pcm) <= JOINED_BYTES
    return plain and small and last.sample_rate_hz == speech.sample_rate_hz
