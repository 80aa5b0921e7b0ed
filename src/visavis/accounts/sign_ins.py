"""Signs an operator's browser in, with a key or with a code that works once. The browser keeps a token, never the key.

A sign-in can do what its key can do, and ends with the key. Every call reads the database, so that the end of a sign-in
or of its key takes effect at once in every server that shares the database.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass

from visavis.accounts.service import Accounts
from visavis.errors import KeyNotActive, SignInRefused
from visavis.ids import new_id
from visavis.store.database import Database
from visavis.store.records import KeyRecord, SignInRecord
from visavis.store.sign_ins import SignInStore
from visavis.timestamps import now_ms

CODE_LASTS_MS = 3_600_000
_RANDOM_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """A sign-in that has begun."""

    key: KeyRecord
    expires_at_ms: int


class SignIns:
    def __init__(self, database: Database, accounts: Accounts, *, lasts_s: float) -> None:
        self._store, self._accounts = SignInStore(database), accounts
        self._lasts_ms = int(lasts_s * 1000)

    async def issue_code(self, key_id: str) -> str:
        """Return a code that signs in once with this key, within an hour. Raises `KeyNotFound` and `KeyNotActive`."""
        key = await self._accounts.find_key(key_id)
        if not self._accounts.is_active(key):
            raise KeyNotActive("This key was revoked or has expired", suggestion="Create a new key")
        code, now = secrets.token_urlsafe(_RANDOM_BYTES), now_ms()
        await self._store.add(_record(key_id, at_ms=now, code_hash=_hash(code), code_expires_at_ms=now + CODE_LASTS_MS))
        return code

    async def begin_with_code(self, code: str, *, address: str) -> tuple[SignIn, str]:
        """Return the sign-in and its token. Raises `SignInRefused` for a code that is wrong, used or expired, and what
        `Accounts.check_usable` raises: then the code can still be used.
        """
        found = await self._store.by_code(_hash(code))
        key = None if found is None else await self._accounts.get(found.key_id)
        if found is None or key is None:
            raise SignInRefused
        self._accounts.check_usable(key, address=address)
        token, now = secrets.token_urlsafe(_RANDOM_BYTES), now_ms()
        ends_at_ms = now + self._lasts_ms
        if not await self._store.begin(found.id, token_hash=_hash(token), at_ms=now, expires_at_ms=ends_at_ms):
            raise SignInRefused
        return SignIn(key=key, expires_at_ms=ends_at_ms), token

    async def begin_with_key(self, api_key: str, *, address: str) -> tuple[SignIn, str]:
        """Return the sign-in and its token. Raises what `Accounts.authenticate` raises."""
        key = await self._accounts.authenticate(api_key, address=address)
        token, now = secrets.token_urlsafe(_RANDOM_BYTES), now_ms()
        ends_at_ms = now + self._lasts_ms
        await self._store.add(_record(key.id, at_ms=now, token_hash=_hash(token), expires_at_ms=ends_at_ms))
        return SignIn(key=key, expires_at_ms=ends_at_ms), token

    async def find(self, token: str, *, address: str) -> SignIn | None:
        """Return the sign-in of a token; None if there is none any more. Raises what `Accounts.check_usable` raises."""
        found = await self._store.by_token(_hash(token))
        if found is None or found.expires_at_ms is None or found.expires_at_ms <= now_ms():
            return None
        key = await self._accounts.get(found.key_id)
        if key is None:
            return None
        self._accounts.check_usable(key, address=address)
        return SignIn(key=key, expires_at_ms=found.expires_at_ms)

    async def end(self, token: str) -> None:
        """End a sign-in. A second end changes nothing."""
        await self._store.remove(_hash(token))

    async def remove_expired(self) -> None:
        await self._store.remove_expired(at_ms=now_ms())


def _hash(text: str) -> str:
    """Return the sha256 in hex. Codes and tokens are long and random, so they need no slow hash."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _record(
    key_id: str,
    *,
    at_ms: int,
    code_hash: str | None = None,
    code_expires_at_ms: int | None = None,
    token_hash: str | None = None,
    expires_at_ms: int | None = None,
) -> SignInRecord:
    return SignInRecord(
        id=new_id("sign"),
        key_id=key_id,
        code_hash=code_hash,
        code_expires_at_ms=code_expires_at_ms,
        token_hash=token_hash,
        created_at_ms=at_ms,
        expires_at_ms=expires_at_ms,
    )
