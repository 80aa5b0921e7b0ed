"""What goes into the line of a session, and the port between the line and whatever makes sound of words."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from visavis.engine.speech.phones import TimedViseme


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """A stretch of sound: mono PCM16 little-endian, whole samples. `visemes`: those of this stretch, with times from
    its start, where the synthesiser knows them.
    """

    pcm: bytes
    rate_hz: int
    visemes: tuple[TimedViseme, ...] | None = None

    def after(self, samples: int) -> Sound:
        """Return what follows so many samples."""
        if not samples:
            return self
        visemes = self.visemes
        if visemes is not None:
            ms = samples * 1000 / self.rate_hz
            visemes = tuple(
                TimedViseme(viseme=one.viseme, start_ms=max(0.0, one.start_ms - ms), end_ms=one.end_ms - ms)
                for one in visemes
                if one.end_ms > ms
            )
        return Sound(pcm=self.pcm[2 * samples :], rate_hz=self.rate_hz, visemes=visemes)


@dataclass(frozen=True, slots=True, kw_only=True)
class TextPiece:
    """One `agent.say`. `number`, `message`: as in `Speech`. `utterance_id`: None for an utterance of its own."""

    text: str
    number: int
    utterance_id: str | None = None
    final: bool = True
    voice: str | None = None
    language: str | None = None
    message: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """One sentence to speak. `voice`: None for that of the language, or the usual one."""

    text: str
    voice: str | None = None
    language: str | None = None


TakeSound = Callable[[Sound], Awaitable[None]]


class Synthesiser(Protocol):
    """Makes sound of words. Several syntheses may run at once."""

    async def synthesise(self, words: Words, take: TakeSound) -> None:
        """Pass the sound to `take`, piece by piece, as it comes; return after the last piece. A cancelled call takes no
        more and leaves nothing open.

        Raises `VoiceFailed`, `VoiceTimedOut` and `VoiceBusy`; what came before has been passed on, and ends softly.
        """
        ...

    async def prepare(self) -> None:
        """Get ready, so that the first sentence need not wait. Raises nothing."""
        ...

    async def aclose(self) -> None:
        """Close what is open. Idempotent."""
        ...
