"""What stages on other machines may fetch from this server (api/stage_source.py), each with a token that the server has
told it.

A machine of a fleet has a token of its own. It opens the packs and pictures of the sessions that the database has
placed on that machine, as long as the machine's lease has not ended. Whoever steals it gets nothing else.
"""

from __future__ import annotations

import hmac
from typing import Protocol

from visavis.store.stages import StageStore


class StageSources(Protocol):
    """Both raise `StorageUnusable` if the database is asked, and away."""

    async def may_read_pack(self, token: str, avatar_id: str) -> bool | None:
        """Whether a token opens the packs of an avatar; None: it opens nothing at all."""
        ...

    async def may_read_pictures(self, token: str, session_id: str) -> bool | None:
        """Whether a token opens the pictures of a session; None: it opens nothing at all."""
        ...


class NamedStageSources:
    """Those of the stages that the settings name: they share one token, which opens all packs and pictures."""

    def __init__(self, secret: bytes) -> None:
        # The same after every start: stages that outlive this server go on with it.
        self.token = hmac.new(secret, b"stage source", "sha256").hexdigest()

    async def may_read_pack(self, token: str, avatar_id: str) -> bool | None:
        return self._opens(token)

    async def may_read_pictures(self, token: str, session_id: str) -> bool | None:
        return self._opens(token)

    def _opens(self, token: str) -> bool | None:
        return hmac.compare_digest(token.encode(), self.token.encode()) or None


class MachineSources:
    """Those of the machines of a fleet. Each server with the same secret takes the tokens that the others have told."""

    def __init__(self, secret: bytes, stages: StageStore) -> None:
        self._secret, self._stages = hmac.digest(secret, b"machine source", "sha256"), stages

    def token_of(self, machine_id: str) -> str:
        return f"{machine_id}.{hmac.new(self._secret, machine_id.encode(), 'sha256').hexdigest()}"

    async def may_read_pack(self, token: str, avatar_id: str) -> bool | None:
        machine_id = self._machine_of(token)
        return None if machine_id is None else await self._stages.performs_avatar(machine_id, avatar_id)

    async def may_read_pictures(self, token: str, session_id: str) -> bool | None:
        machine_id = self._machine_of(token)
        return None if machine_id is None else await self._stages.performs(machine_id, session_id)

    def _machine_of(self, token: str) -> str | None:
        machine_id = token.rpartition(".")[0]
        return machine_id if hmac.compare_digest(token.encode(), self.token_of(machine_id).encode()) else None
