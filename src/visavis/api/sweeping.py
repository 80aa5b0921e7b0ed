"""Clears away, every few seconds, what time has ended: sessions, tokens, backgrounds, avatars and records."""

from __future__ import annotations

import anyio
import structlog

from visavis.accounts.service import Accounts
from visavis.api.services import Services
from visavis.sessions.sweep import sweep_sessions
from visavis.store.sessions import SessionStore
from visavis.timestamps import now_ms

log = structlog.get_logger()


async def sweep_always(services: Services, store: SessionStore) -> None:
    """Sweep until cancelled."""
    while True:
        await anyio.sleep(services.settings.sweep_interval_s)
        try:
            await sweep_sessions(store, services.live, created_ttl_s=services.settings.created_session_ttl_s)
            await services.revocation.end_sessions()
            await services.accounts.save_uses()
            await services.sign_ins.remove_expired()
            await services.live.browser_tokens.remove_expired()
            await services.backgrounds.delete_orphans(store)
            await services.avatars.purge(spared=services.live.table.starting_avatars())
            await services.idempotency.delete_expired(at_ms=now_ms())
            await services.webhooks.sweep(kept_ms=int(services.settings.webhook_log_days * 24 * 3_600_000))
        except Exception:  # the outermost edge of a sweep: the next one tries again
            log.exception("sweep_failed")


async def save_uses(accounts: Accounts) -> None:
    """Save the last uses of keys at the end of the server."""
    try:
        await accounts.save_uses()
    except Exception:  # the outermost edge: a database that fails does not keep the server from closing
        log.exception("uses_not_saved")
