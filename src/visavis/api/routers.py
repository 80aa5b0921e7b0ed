"""All routers of the API, in the order in which they are asked."""

from __future__ import annotations

from visavis.api import (
    avatars,
    browser_tokens,
    capacity,
    docs,
    health,
    media,
    metrics,
    pages,
    rooms,
    sessions,
    sign_in,
    stage_source,
    trailing_slash,
    usage,
    webhooks,
)
from visavis.api.admin import accounts as admin_accounts
from visavis.api.admin import avatars as admin_avatars
from visavis.api.admin import keys as admin_keys
from visavis.api.admin import server as admin_server
from visavis.api.admin import sessions as admin_sessions
from visavis.api.admin import webhooks as admin_webhooks

# The first part of each path is in settings.OWN_PATHS. The channel's router is added at the start.
ROUTERS = (
    sessions.router,
    browser_tokens.router,
    avatars.router,
    media.router,
    rooms.router,
    stage_source.router,
    metrics.router,
    usage.router,
    sign_in.router,
    webhooks.router,
    capacity.router,
    admin_sessions.router,
    admin_accounts.router,
    admin_keys.router,
    admin_webhooks.router,
    admin_avatars.router,
    admin_server.router,
    health.router,
    docs.router,
    trailing_slash.router,
    pages.router,
)
