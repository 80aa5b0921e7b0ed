"""The process in which counting viewers run (viewers.py), as its parent sees it."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

CLOSE_WITHIN_S = 10.0


class ViewerProcess:
    """Viewers are numbered from 0, in the order in which they join."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        return self._process.pid

    @classmethod
    async def start(cls) -> ViewerProcess:
        pipe = asyncio.subprocess.PIPE
        return cls(
            await asyncio.create_subprocess_exec(
                sys.executable, "-m", "visavis.bench.viewers", stdin=pipe, stdout=pipe, limit=1024 * 1024
            )
        )

    async def join(self, number: int, exchange: Callable[[str], Awaitable[str]]) -> None:
        """Let one more viewer join. `exchange` sends its SDP offer to the room and returns the answer."""
        await self.join_at_once([number], exchange)

    async def join_at_once(self, numbers: Sequence[int], exchange: Callable[[str], Awaitable[str | None]]) -> None:
        """Let viewers join at the same time. `exchange` may return None: the room refuses this one."""
        for number in numbers:
            self._tell({"join": number})
        offers = [await self._hear() for _ in numbers]
        answers = await asyncio.gather(*(exchange(offer["offer"]) for offer in offers))
        for offer, answer in zip(offers, answers, strict=True):
            if answer is not None:
                self._tell({"viewer": offer["viewer"], "answer": answer})

    async def count(self) -> dict[str, list[int]]:
        """Return what each viewer received since the last call; see viewers.py."""
        self._tell({"count": True})
        return await self._hear()

    def kill(self) -> None:
        """Let all viewers vanish without a word."""
        self._process.kill()

    async def aclose(self) -> None:
        try:
            await asyncio.wait_for(self._process.communicate(), CLOSE_WITHIN_S)  # closes the pipes, too
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    def _tell(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message).encode() + b"\n")

    async def _hear(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        heard: dict[str, Any] = json.loads(await self._process.stdout.readline())
        return heard
