"""The agent's calls to its avatar: RPCs in the room."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from livekit import rtc
from livekit.plugins.visavis.errors import AvatarRefused
from livekit.plugins.visavis.log import logger

ANSWER_WITHIN_S = 15.0  # more than the 7 s that LiveKit allows for the way
PAUSE_TRIES = 3  # one that nobody answers may have stopped the avatar, or not


class AvatarCalls:
    """Calls methods of the participant `identity`. Calls arrive in the order in which they were made; pauses have an
    order of their own, since they must not wait for what the server is asked.
    """

    def __init__(self, room: rtc.Room, identity: str) -> None:
        self._room, self._identity = room, identity
        self._turn = asyncio.Lock()  # first come, first served
        self._tasks: set[asyncio.Task[None]] = set()
        self._pause_wanted = False
        self._is_paused: bool | None = False  # as the avatar has confirmed, None if that is not known
        self._pausing = False  # a task brings the avatar to the pause that is wanted

    async def call(self, method: str, members: Mapping[str, Any] | None = None) -> str:
        """Return the answer. Raises `AvatarRefused`."""
        async with self._turn:
            return await self._perform(method, "" if members is None else json.dumps(members))

    def send(self, method: str, members: Mapping[str, Any] | None = None) -> None:
        """Call in the background. A refusal is logged."""
        self._spawn(self._try(method, members))

    def pause(self, on: bool) -> None:
        """Have the avatar stop in the middle of its speech, or go on, in the background. What is wanted last holds.
        Nothing is sent if the avatar does so already.
        """
        self._pause_wanted = on
        if not self._pausing and self._is_paused is not on:
            self._pausing = True
            self._spawn(self._follow_pause())

    async def aclose(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _perform(self, method: str, payload: str = "") -> str:
        try:
            return await self._room.local_participant.perform_rpc(
                destination_identity=self._identity,
                method=method,
                payload=payload,
                response_timeout=ANSWER_WITHIN_S,
            )
        except rtc.RpcError as error:
            raise AvatarRefused(error.message, str(error.data or "")) from None

    async def _follow_pause(self) -> None:
        tries = 0
        try:
            while self._is_paused is not self._pause_wanted and tries < PAUSE_TRIES:
                on, self._is_paused, tries = self._pause_wanted, None, tries + 1
                if await self._try_once("visavis.pause" if on else "visavis.resume"):
                    self._is_paused, tries = on, 0
        finally:
            self._pausing = False

    async def _try(self, method: str, members: Mapping[str, Any] | None) -> None:
        async with self._turn:
            await self._try_once(method, "" if members is None else json.dumps(members))

    async def _try_once(self, method: str, payload: str = "") -> bool:
        """Return whether the avatar has taken a call."""
        try:
            await self._perform(method, payload)
        except AvatarRefused as refused:
            logger.warning(f"the avatar has not taken {method}: {refused}")
        except Exception:  # noqa: BLE001  # the room was left meanwhile
            logger.debug("a call to the avatar has failed", extra={"method": method}, exc_info=True)
        else:
            return True
        return False

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
