"""What of the avatar's sound is speech, and which frames of the pipeline wait for it. Pure: no clock, no network.

The room sends sound all the time, silence in between. The channel tells when an utterance begins and how much of it was
played. Together they say which blocks are its sound: from the first one that is not silent, as long as it was played.
That holds for an utterance that was interrupted, too: what of it is still on its way is passed over, and not a block
of the next one, which may follow without a pause.
Frames that came behind speech (its words, its end) wait until that speech was heard, as they would behind a voice.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

F = TypeVar("F")

KEPT_BLOCKS = 100  # of sound before an utterance is known to have begun: 2 s
LATE_BLOCKS = 50  # so many blocks after its end an utterance is over, although sound of it was lost: 1 s
QUIET = 2  # the loudest sample of a silent block: what is left of zeros after Opus
# An interrupted utterance whose end is never told holds up the next one for so many blocks: it was never sent.
UNTOLD_BLOCKS = 100
UNTOLD_BLOCKS_AFTER_INTERRUPTION = 15
TAIL_BLOCKS = 1  # that the last sound of an utterance may reach into: Opus is late by a part of a block


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A piece of sound of the room. `loudest`: of its samples."""

    pcm: bytes
    duration_s: float
    loudest: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """A block to be heard."""

    utterance_id: str
    block: Block


@dataclass(slots=True)
class _Utterance(Generic[F]):
    id: str
    sent_s: float = 0.0
    waiting: deque[tuple[float, F]] = field(default_factory=deque)  # frames, by the speech before them
    begun: bool = False  # the channel has told
    heard_s: float = 0.0
    played_s: float | None = None  # told at its end
    blocks_after_end: int = 0
    dropped: bool = False  # it was interrupted: its sound is passed over
    untold_blocks: int = UNTOLD_BLOCKS  # that it may take without being told its end, once it is dropped

    @property
    def is_over(self) -> bool:
        if self.played_s is None:
            return self.dropped and self.untold_blocks <= 0
        return self.heard_s >= self.played_s - 1e-6 or self.blocks_after_end >= LATE_BLOCKS


class Playback(Generic[F]):
    """The utterances of a session that were not heard to their end, in order. `F`: the frames that wait."""

    def __init__(self) -> None:
        self._utterances: deque[_Utterance[F]] = deque()
        self._kept: deque[Block] = deque(maxlen=KEPT_BLOCKS)  # since the last speech, from its first sound on
        self._may_be_tail = False  # no silence has come since the last utterance was over
        self._ends_silent = True  # the last block of an utterance

    @property
    def is_idle(self) -> bool:
        """Whether all speech was heard, or dropped."""
        return all(one.dropped for one in self._utterances)

    @property
    def remaining_s(self) -> float:
        """How much of the speech was not heard yet."""
        return sum(max(0.0, one.sent_s - one.heard_s) for one in self._utterances if not one.dropped)

    def begin(self, utterance_id: str) -> None:
        """An utterance is about to be sent."""
        self._utterances.append(_Utterance(utterance_id))

    def sent(self, utterance_id: str, pcm: bytes, rate_hz: int) -> None:
        """So much more of it was sent: PCM16, one channel."""
        for one in self._utterances:
            if one.id == utterance_id:
                one.sent_s += len(pcm) / 2 / rate_hz

    def hold(self, frame: F, *, at_s: float | None = None) -> bool:
        """Keep a frame until the speech before it was heard. Return False, and keep nothing, if there is none.

        `at_s`: where in the newest utterance the frame belongs; default: behind all that was sent of it.
        """
        if self.is_idle:
            return False
        newest = self._utterances[-1]
        place_s = newest.sent_s if at_s is None else at_s
        newest.waiting.append((place_s, frame))
        if at_s is not None:
            newest.waiting = deque(sorted(newest.waiting, key=lambda waiting: waiting[0]))
        return True

    def started(self, utterance_id: str) -> list[Sound | F]:
        """The channel tells that the first sample was played. Return what is heard at once."""
        for one in self._utterances:
            if one.id == utterance_id:
                one.begun = True
        return self._advance([])

    def finished(self, utterance_id: str, played_s: float) -> list[Sound | F]:
        """The channel tells how much was played."""
        for one in self._utterances:
            if one.id == utterance_id:
                one.played_s = played_s
        return self._advance([])

    def take(self, block: Block) -> list[Sound | F]:
        """Sound has come. Return what is to be heard, and the frames whose speech was heard, in order."""
        if self._utterances and self._utterances[0].played_s is not None:
            self._utterances[0].blocks_after_end += 1
        return self._advance([block])

    def drop(self) -> list[F]:
        """An interruption: nothing that was sent is heard any more. Return the frames that waited, in order."""
        waited = [frame for one in self._utterances for _, frame in one.waiting]
        for one in self._utterances:
            one.dropped = True
            one.waiting.clear()
        self._utterances = deque(one for at, one in enumerate(self._utterances) if at == 0 or one.begun)
        return waited

    def interrupted(self) -> list[Sound | F]:
        """The server has interrupted all that was sent: an end that was not told yet follows at once, or never."""
        for one in self._utterances:
            if one.dropped:
                one.untold_blocks = min(one.untold_blocks, UNTOLD_BLOCKS_AFTER_INTERRUPTION)
        return self._advance([])

    def release_all(self) -> list[F]:
        """The session is lost: return the frames that wait."""
        waited = self.drop()
        self._utterances.clear()
        self._kept.clear()
        return waited

    def _advance(self, blocks: Sequence[Block]) -> list[Sound | F]:
        result: list[Sound | F] = []
        self._kept.extend(blocks)
        while True:
            if not self._utterances:
                self._may_be_tail = self._may_be_tail and not any(map(_is_silent, self._kept))
                self._kept.clear()
                return result
            current = self._utterances[0]
            if current.is_over:
                result += [frame for _, frame in current.waiting]
                self._utterances.popleft()
                self._may_be_tail = not self._ends_silent
                continue
            if current.dropped:
                if not self._kept:
                    return result
                self._pass_over(current, self._kept.popleft())
                continue
            if not (current.begun or current.played_s is not None):
                return result
            if current.heard_s == 0.0 and not self._find_beginning():
                return result
            if not self._kept:
                return result
            block = self._kept.popleft()
            self._ends_silent = _is_silent(block)
            current.heard_s += block.duration_s
            result.append(Sound(utterance_id=current.id, block=block))
            while current.waiting and current.waiting[0][0] <= current.heard_s + 1e-6 and not current.is_over:
                if current.played_s is None and current.waiting[0][0] >= current.sent_s - 1e-6:
                    break  # more of it may come; its end waits for the channel
                result.append(current.waiting.popleft()[1])

    def _pass_over(self, dropped: _Utterance[F], block: Block) -> None:
        """A block of an utterance that was interrupted, or of the silence around it."""
        self._ends_silent = _is_silent(block)
        if dropped.heard_s > 0.0 or not _is_silent(block):
            dropped.heard_s += block.duration_s
        if dropped.played_s is None:
            dropped.untold_blocks -= 1
        elif _is_silent(block):
            dropped.played_s = 0.0  # nothing more comes of it

    def _find_beginning(self) -> bool:
        """An utterance begins with sound: drop the silence before it, and what is left of the one before. Return False
        if that cannot be told from its beginning yet.
        """
        while True:
            while self._kept and _is_silent(self._kept[0]):
                self._may_be_tail = False
                self._kept.popleft()
            if not self._may_be_tail:
                return True
            loud = 0
            while loud < len(self._kept) and not _is_silent(self._kept[loud]):
                loud += 1
            if loud > TAIL_BLOCKS:
                self._may_be_tail = False
                return True
            if loud == len(self._kept):
                return False
            for _ in range(loud):
                self._kept.popleft()


def _is_silent(block: Block) -> bool:
    return block.loudest <= QUIET
