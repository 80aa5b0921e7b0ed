"""An utterance on its way: what its sender waits for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TypeVar

from visavis_client.errors import VisavisError

Piece = TypeVar("Piece", bytes, str)


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """How an utterance ended. `position_s`: how much of it was played, in seconds of its own sound."""

    utterance_id: str
    position_s: float
    interrupted: bool


class Utterance:
    """One utterance of a channel. Once it is cut, by an interrupt or an error, nobody sends more of it."""

    def __init__(self, utterance_id: str) -> None:
        self.id = utterance_id
        self.last_number = 0  # of its last message, see Conversation
        self._cut = asyncio.Event()
        self._end: asyncio.Future[Played] = asyncio.get_running_loop().create_future()
        self._end.add_done_callback(_retrieve)

    @property
    def is_over(self) -> bool:
        return self._end.done()

    @property
    def is_cut(self) -> bool:
        return self._cut.is_set()

    def cut(self) -> None:
        """Send no more of it."""
        self._cut.set()

    async def uncut(self, pieces: AsyncIterator[Piece]) -> AsyncIterator[Piece]:
        """Yield the pieces until it is cut, also while the next one is waited for. Closes their source at the end."""
        cut = asyncio.ensure_future(self._cut.wait())
        try:
            while not self.is_cut:
                following = asyncio.ensure_future(anext(pieces, None))
                try:
                    await asyncio.wait({following, cut}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    if not following.done():
                        following.cancel()
                        await asyncio.gather(following, return_exceptions=True)
                if following.cancelled() or (piece := following.result()) is None:
                    return
                yield piece
        finally:
            cut.cancel()
            if (close := getattr(pieces, "aclose", None)) is not None:
                await close()

    def finish(self, position_s: float, *, interrupted: bool) -> None:
        """It was played, or interrupted."""
        self.cut()
        if not self._end.done():
            self._end.set_result(Played(utterance_id=self.id, position_s=position_s, interrupted=interrupted))

    def fail(self, error: VisavisError) -> None:
        """It was refused, or its end will never be known."""
        self.cut()
        if not self._end.done():
            self._end.set_exception(error)

    async def played(self) -> Played:
        """Wait until its last sample was played, or until it was interrupted. Raises what ended it otherwise."""
        return await asyncio.shield(self._end)


def _retrieve(end: asyncio.Future[Played]) -> None:
    if not end.cancelled():
        end.exception()  # an utterance that nobody waits for is no error of the event loop
