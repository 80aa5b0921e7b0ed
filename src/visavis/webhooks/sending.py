"""Puts the parts together that send events."""

from __future__ import annotations

from dataclasses import dataclass

from visavis.outbound.reach import allowed_by
from visavis.settings import Settings
from visavis.store.database import Database
from visavis.store.deliveries import DeliveryStore
from visavis.store.webhooks import WebhookStore
from visavis.webhooks.dispatcher import Dispatcher
from visavis.webhooks.feed import Feed
from visavis.webhooks.post import Poster
from visavis.webhooks.secrets import SecretSeal
from visavis.webhooks.service import Webhooks


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """`feed` takes news of what runs, `dispatcher` sends, `webhooks` says where to. The caller runs the first two."""

    feed: Feed
    dispatcher: Dispatcher
    webhooks: Webhooks


def open_webhooks(settings: Settings, database: Database, secret: bytes) -> Sending:
    """`secret`: the server's."""
    store, deliveries = WebhookStore(database), DeliveryStore(database)
    poster = Poster(is_allowed=allowed_by(settings.webhook_networks), timeout_s=settings.webhook_timeout_s)
    seal = SecretSeal(secret)
    dispatcher = Dispatcher(
        deliveries=deliveries,
        webhooks=store,
        poster=poster,
        seal=seal,
        disable_after_s=settings.webhook_disable_after_h * 3600,
    )
    service = Webhooks(
        store=store,
        deliveries=deliveries,
        poster=poster,
        seal=seal,
        max_per_account=settings.max_webhooks_per_account,
        wake=dispatcher.poke,
    )
    return Sending(feed=Feed(deliveries, dispatcher.poke), dispatcher=dispatcher, webhooks=service)
