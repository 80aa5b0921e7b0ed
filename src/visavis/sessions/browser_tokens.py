"""Browser tokens: each opens one session for one purpose, for a short time, to pages of some origins or of all.

They are random, and the database has their hashes. A signed token could be checked without the database, but to revoke
one the database would have to be asked again.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum

import anyio
import structlog

from visavis.accounts.service import Accounts
from visavis.errors import OriginRefused, SessionEnded, TokenExpired, TokenNotFound, Unauthorized
from visavis.ids import is_id, new_id
from visavis.sessions.tokens import token_hash
from visavis.store.browser_tokens import BrowserTokenStore
from visavis.store.records import BrowserTokenRecord, KeyRecord
from visavis.timestamps import now_ms

PREFIX = "vvt_"
SHORTEST_S, LONGEST_S, DEFAULT_S = 1, 86_400, 600
MAX_ORIGINS = 20
REJOIN_MS = 60_000  # so long after it has expired a token lets those in again who were in with it
_KEPT_MS = 86_400_000  # so long after that its row is kept, so that its holder is told that it has expired
_POLL_INTERVAL_S = 0.5
_MOST_HOLDERS = 64  # of a token: the connections that are closed when it is revoked; older ones have left long since

log = structlog.get_logger()


RemoveViewer = Callable[[str, str], Awaitable[object]]
"""Removes a viewer from the room of a session. One that is not there any more is no error. Raises `SessionEnded`."""


class Purpose(StrEnum):
    WATCH = "watch"  # join the room
    SPEAK = "speak"  # open the channel
    CONTROL = "control"  # start and end the session, and read its metrics


@dataclass(slots=True)
class _Held:
    """The connections that a token has opened. `close`: by what is connected."""

    session_id: str
    close: dict[str, Callable[[], Awaitable[object]]] = field(default_factory=dict)


class BrowserTokens:
    def __init__(self, store: BrowserTokenStore, accounts: Accounts) -> None:
        self._store, self._accounts = store, accounts
        self._held: dict[str, _Held] = {}  # by token
        self._removed: set[tuple[str, str]] = set()  # sessions that run, with the viewers of their revoked tokens

    async def mint(
        self, key: KeyRecord, session_id: str, *, purpose: Purpose, lasts_s: int, origins: Collection[str]
    ) -> tuple[BrowserTokenRecord, str]:
        """Return a new token's record and the token itself, which is not stored and cannot be shown again. `origins`:
        of the pages that may use it; without any, pages of all origins and other programs may.
        """
        token, now = PREFIX + secrets.token_urlsafe(32), now_ms()
        record = BrowserTokenRecord(
            id=new_id("tok"),
            session_id=session_id,
            key_id=key.id,
            purpose=purpose,
            hash=token_hash(token),
            origins=list(origins),
            created_at_ms=now,
            expires_at_ms=now + lasts_s * 1000,
            used_at_ms=None,
            revoked_at_ms=None,
            viewers=[],
        )
        await self._store.add(record)
        return record, token

    async def check(self, token: str, *, purpose: Purpose, origin: str | None) -> BrowserTokenRecord:
        """Return the record of a token that a page of `origin` shows; None: it names no origin. Raises `Unauthorized`,
        `TokenExpired` and `OriginRefused`.
        """
        record = await self._store.by_hash(token_hash(token))
        if record is None or record.purpose != purpose or record.revoked_at_ms is not None:
            raise Unauthorized("This token is unknown, was revoked, or has another purpose")
        if await self._accounts.is_revoked(record.key_id):
            raise Unauthorized("API key has been deactivated")
        grace_ms = REJOIN_MS if record.used_at_ms is not None else 0
        if now_ms() >= record.expires_at_ms + grace_ms:
            raise TokenExpired
        if record.origins and origin not in record.origins:
            raise OriginRefused
        return record

    async def note_use(self, record: BrowserTokenRecord, *, viewer_id: str | None = None) -> None:
        """Note that a token opens something. `viewer_id`: whom it lets into the room; the server that goes on with the
        session after this one knows it too.
        """
        if record.used_at_ms is None or viewer_id is not None:
            await self._store.note_use(record.id, at_ms=now_ms(), viewer_id=viewer_id)

    def hold(self, record: BrowserTokenRecord, name: str, close: Callable[[], Awaitable[object]]) -> None:
        """Note what a token has opened. If it is revoked, `close` is called."""
        held = self._held.setdefault(record.id, _Held(record.session_id))
        held.close.pop(name, None)
        held.close[name] = close
        if len(held.close) > _MOST_HOLDERS:
            del held.close[next(iter(held.close))]

    async def revoke(self, session_id: str, token_id: str) -> None:
        """Revoke a token, and close what it has opened on this server. Other servers notice within a second. Raises
        `TokenNotFound`.
        """
        there = is_id("tok", token_id) and await self._store.revoke(session_id, token_id, at_ms=now_ms())
        if not there:
            raise TokenNotFound
        await self._close(token_id)

    async def run(self, running: Collection[str], remove_viewer: RemoveViewer) -> None:
        """Close what tokens have opened that another process has revoked, or that were revoked before this server
        started, until cancelled. `running`: the sessions that run.
        """
        while True:
            await anyio.sleep(_POLL_INTERVAL_S)
            self._held = {token_id: held for token_id, held in self._held.items() if held.session_id in running}
            self._removed = {one for one in self._removed if one[0] in running}
            if not running:
                continue
            try:
                for record in await self._store.revoked_of(list(running)):
                    await self._close(record.id)
                    await self._remove_viewers(record, remove_viewer)
            except Exception:  # the outermost edge of this task: the next poll tries again
                log.exception("revocation_of_tokens_failed")

    async def _remove_viewers(self, record: BrowserTokenRecord, remove_viewer: RemoveViewer) -> None:
        for viewer_id in record.viewers:
            if (record.session_id, viewer_id) not in self._removed:
                with suppress(SessionEnded):
                    await remove_viewer(record.session_id, viewer_id)
                self._removed.add((record.session_id, viewer_id))

    async def _close(self, token_id: str) -> None:
        held = self._held.pop(token_id, None)
        for close in () if held is None else held.close.values():
            try:
                await close()
            except Exception:  # the session may have ended meanwhile
                log.exception("token_holder_not_closed", session_id=held.session_id if held else None)

    async def remove_of(self, session_id: str) -> None:
        """Remove all tokens of a session."""
        await self._store.remove_of(session_id)

    async def remove_expired(self) -> None:
        await self._store.remove_expired(before_ms=now_ms() - REJOIN_MS - _KEPT_MS)


def is_browser_token(token: str) -> bool:
    return token.startswith(PREFIX)
