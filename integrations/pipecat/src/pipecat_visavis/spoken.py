"""How far the avatar has spoken, where the bot does not hear it: in a room of its own users. Pure: no network, and the
caller passes the time.

The channel tells when an utterance begins and how much of it was played; between the two the avatar speaks in real
time. So what was heard is known at any moment: the sound, for recorders, and the frames of the pipeline that come
behind it, such as words.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Generic, TypeVar

F = TypeVar("F")


@dataclass(frozen=True, slots=True, kw_only=True)
class Began:
    """The first sample of an utterance is heard."""

    utterance_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """The next piece of an utterance was heard: PCM16, one channel."""

    pcm: bytes
    rate_hz: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Over:
    """Nothing more of an utterance is heard."""

    utterance_id: str


@dataclass(slots=True)
class _Utterance(Generic[F]):
    """Places are samples of its own sound."""

    id: str
    rate_hz: int = 1
    pcm: bytearray = field(default_factory=bytearray)
    heard: int = 0
    waiting: deque[tuple[int, F]] = field(default_factory=deque)  # frames, by the speech before them
    following: deque[F] = field(default_factory=deque)  # frames behind the whole of it
    is_whole: bool = False  # no more of it is sent
    began_s: float | None = None  # when its first sample was heard
    is_told: bool = False  # that it began
    played_s: float | None = None  # told at its end

    @property
    def sent(self) -> int:
        return len(self.pcm) // 2


class Spoken(Generic[F]):
    """The utterances of a session that were not heard to their end, in order. `F`: the frames that wait. Times are
    seconds of any monotonic clock.
    """

    def __init__(self) -> None:
        self._utterances: deque[_Utterance[F]] = deque()

    @property
    def is_idle(self) -> bool:
        """Whether all speech was heard, or dropped."""
        return not self._utterances

    @property
    def is_speaking(self) -> bool:
        """Whether an utterance has begun and its end was not told."""
        return bool(self._utterances) and self._utterances[0].is_told

    @property
    def remaining_s(self) -> float:
        """How much of the speech was not heard yet."""
        return sum((one.sent - one.heard) / one.rate_hz for one in self._utterances)

    def begin(self, utterance_id: str) -> None:
        """An utterance is about to be sent."""
        self._utterances.append(_Utterance(utterance_id))

    def sent(self, utterance_id: str, pcm: bytes, rate_hz: int) -> None:
        """So much more of it was sent: PCM16, one channel."""
        if (one := self._find(utterance_id)) is not None:
            one.rate_hz = rate_hz
            one.pcm += pcm

    def whole(self, utterance_id: str) -> None:
        """No more of it is sent: what is held from now on belongs behind its end."""
        if (one := self._find(utterance_id)) is not None:
            one.is_whole = True

    def hold(self, frame: F, *, at_s: float | None = None) -> bool:
        """Keep a frame until the speech before it was heard. Return False, and keep nothing, if there is none.

        `at_s`: where in the newest utterance the frame belongs; default: behind all that was sent of it.
        """
        if not self._utterances:
            return False
        newest = self._utterances[-1]
        if at_s is not None:
            newest.waiting.append((round(at_s * newest.rate_hz), frame))
            newest.waiting = deque(sorted(newest.waiting, key=lambda waiting: waiting[0]))
        elif newest.is_whole:
            newest.following.append(frame)
        else:
            newest.waiting.append((newest.sent, frame))
        return True

    def started(self, utterance_id: str, now_s: float) -> None:
        """The channel tells that the first sample was played."""
        if (one := self._find(utterance_id)) is not None and one.began_s is None:
            one.began_s = now_s

    def finished(self, utterance_id: str, played_s: float) -> None:
        """The channel tells how much was played."""
        if (one := self._find(utterance_id)) is not None:
            one.played_s = played_s

    def advance(self, now_s: float) -> list[Began | Heard | Over | F]:
        """Return what has been heard since the last call, and the frames whose speech was heard, in order."""
        result: list[Began | Heard | Over | F] = []
        while self._utterances:
            current = self._utterances[0]
            if current.began_s is not None and not current.is_told:
                current.is_told = True
                result.append(Began(utterance_id=current.id))
            if current.played_s is None:
                if current.began_s is not None:
                    place = round((now_s - current.began_s) * current.rate_hz)
                    self._hear(current, min(place, current.sent), result)
                return result
            self._hear(current, min(round(current.played_s * current.rate_hz), current.sent), result)
            result += [frame for _, frame in current.waiting]
            if current.is_told:
                result.append(Over(utterance_id=current.id))
            result += current.following
            self._utterances.popleft()
        return result

    def drop(self) -> list[F]:
        """An interruption: nothing that was sent is heard any more. Return the frames that waited, in order."""
        waited = [frame for one in self._utterances for frame in (*(frame for _, frame in one.waiting), *one.following)]
        self._utterances.clear()
        return waited

    def release_all(self) -> list[F]:
        """The session is lost: return the frames that wait."""
        return self.drop()

    def _find(self, utterance_id: str) -> _Utterance[F] | None:
        return next((one for one in self._utterances if one.id == utterance_id), None)

    def _hear(self, current: _Utterance[F], place: int, result: list[Began | Heard | Over | F]) -> None:
        """Hear the utterance up to a place. A frame at the end of what was sent waits: more of it may come."""
        while current.waiting and current.waiting[0][0] <= place:
            at, frame = current.waiting[0]
            if at >= current.sent and current.played_s is None:
                break
            self._take(current, at, result)
            result.append(frame)
            current.waiting.popleft()
        self._take(current, place, result)

    def _take(self, current: _Utterance[F], place: int, result: list[Began | Heard | Over | F]) -> None:
        if place > current.heard:
            result.append(Heard(pcm=bytes(current.pcm[2 * current.heard : 2 * place]), rate_hz=current.rate_hz))
            current.heard = place
