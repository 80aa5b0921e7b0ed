"""The tokens of stages' machines. A token enters and renews rows of `stages` (stage_rows.py), and is good for nothing
else; only its digest is kept.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass

from sqlalchemy import insert, select, update

from visavis.ids import new_id
from visavis.store.audit import note_change
from visavis.store.database import Database
from visavis.store.models import stage_tokens
from visavis.timestamps import now_ms

PREFIX = "vvs_"


@dataclass(frozen=True, slots=True, kw_only=True)
class StageTokenRecord:
    id: str
    name: str
    created_at_ms: int
    revoked_at_ms: int | None


class StageTokens:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, name: str) -> tuple[str, str]:
        """Return the id of a new token, and the token, which nobody can find out again."""
        token, token_id = PREFIX + secrets.token_urlsafe(32), new_id("stok")
        digest = hashlib.sha256(token.encode()).hexdigest()
        async with self._database.write() as connection:
            row = {"id": token_id, "name": name, "hash": digest, "created_at_ms": now_ms(), "revoked_at_ms": None}
            await connection.execute(insert(stage_tokens).values(**row))
            await note_change(connection, "stage_token.created", token_id, name=name)
        return token_id, token

    async def all(self) -> list[StageTokenRecord]:
        """Return all tokens, the oldest first."""
        row = stage_tokens.c
        query = select(row.id, row.name, row.created_at_ms, row.revoked_at_ms).order_by(row.created_at_ms, row.id)
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).mappings().all()
        return [StageTokenRecord(**one) for one in rows]

    async def revoke(self, token_id: str) -> bool:
        """Revoke a token: its stages are lost with their next renewal. Returns False if there is no such token that is
        not revoked.
        """
        row = stage_tokens.c
        revoking = update(stage_tokens).where(row.id == token_id, row.revoked_at_ms.is_(None))
        async with self._database.write() as connection:
            if (await connection.execute(revoking.values(revoked_at_ms=now_ms()))).rowcount != 1:
                return False
            await note_change(connection, "stage_token.revoked", token_id)
        return True
