"""/v1/webhooks: docs/reference/webhooks.md."""

from __future__ import annotations

from typing import Annotated, Any

import anyio
from fastapi import APIRouter, Request
from starlette.responses import JSONResponse

from visavis.api import webhook_presenters as presenters
from visavis.api.body import json_object
from visavis.api.cursors import read_id_cursor
from visavis.api.described import webhooks as described
from visavis.api.described.parts import Undescribed
from visavis.api.schemas import webhook_schemas
from visavis.api.schemas.parts import Done
from visavis.api.services import Caller, Services, ServicesDep
from visavis.api.sessions import read_limit, reply
from visavis.errors import InvalidRequest
from visavis.sessions.service import MAX_LISTED
from visavis.store.news import DeliveryStatus
from visavis.store.records import Owner
from visavis.webhooks.service import MAX_OVERLAP_MS, TYPES, ShownWebhook

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])

HOUR_MS = 3_600_000
DEFAULT_OVERLAP_HOURS = 24
MAX_WAIT_S = 20.0  # of a listener for events
LISTENER_LOOKS_EVERY_S = 0.25


@router.post("", status_code=201, **described.CREATE)
async def create(request: Request, services: ServicesDep, key: Caller) -> JSONResponse:
    made, secret = await create_webhook(await json_object(request), services, key)
    return reply(webhook_schemas.WebhookWithSecret(webhook=presenters.webhook(made), secret=secret), 201)


async def create_webhook(body: dict[str, Any], services: Services, owner: Owner) -> tuple[ShownWebhook, str]:
    """Make a webhook as the body says; return it and its secret. Raises `InvalidRequest` and what `Webhooks.create`
    raises.
    """
    url, events = _url_of(body), _events_of(body) or []
    if url is None:
        raise InvalidRequest("url is required", suggestion='For example {"url": "https://www.example.com/webhooks"}')
    record, secret = await services.webhooks.create(owner, url=url, events=events)
    return ShownWebhook(webhook=record, undelivered=0), secret


def _url_of(body: dict[str, Any]) -> str | None:
    url = body.get("url")
    if url is not None and not isinstance(url, str):
        raise InvalidRequest("url must be a string")
    return url


def _events_of(body: dict[str, Any]) -> list[str] | None:
    events = body.get("events")
    if events is None:
        return None
    if not isinstance(events, list) or len(events) > len(TYPES):
        raise InvalidRequest("events must be a list of types", suggestion='For example ["session.ended"]')
    unknown = [event for event in events if event not in TYPES]
    if unknown:
        raise InvalidRequest("events has an unknown type", suggestion=f"Use some of {', '.join(TYPES)}")
    return [str(event) for event in events]


@router.get("", **described.LIST)
async def listed(services: ServicesDep, key: Caller) -> JSONResponse:
    found = await services.webhooks.of(key)
    return reply(webhook_schemas.ManyWebhooks(webhooks=[presenters.webhook(one) for one in found]))


@router.post("/listen", include_in_schema=False)
async def listen(request: Request, services: ServicesDep, key: Caller) -> JSONResponse:
    body = await json_object(request)
    record, secret = await services.webhooks.listen(key, events=_events_of(body) or [])
    return reply(webhook_schemas.Listener(listener_id=record.id, secret=secret), 201)


@router.post("/listen/{listener_id}", include_in_schema=False)
async def take(listener_id: str, services: ServicesDep, key: Caller) -> JSONResponse:
    """Answer as soon as there are events, or with none after MAX_WAIT_S."""
    until_s = anyio.current_time() + MAX_WAIT_S
    events = await services.webhooks.take(key, listener_id)
    while not events and anyio.current_time() < until_s:
        await anyio.sleep(LISTENER_LOOKS_EVERY_S)
        events = await services.webhooks.take(key, listener_id)
    return reply(
        webhook_schemas.SignedEvents(
            events=[webhook_schemas.SignedEvent(headers=one.headers, body=one.body) for one in events]
        )
    )


@router.delete("/listen/{listener_id}", include_in_schema=False)
async def stop_listening(listener_id: str, services: ServicesDep, key: Caller) -> JSONResponse:
    await services.webhooks.stop_listening(key, listener_id)
    return reply(Done())


@router.get("/{webhook_id}", **described.GET)
async def get(webhook_id: str, services: ServicesDep, key: Caller) -> JSONResponse:
    return reply(webhook_schemas.OneWebhook(webhook=presenters.webhook(await services.webhooks.get(key, webhook_id))))


@router.patch("/{webhook_id}", **described.CHANGE)
async def change(webhook_id: str, request: Request, services: ServicesDep, key: Caller) -> JSONResponse:
    changed = await change_webhook(request, services, key, webhook_id)
    return reply(webhook_schemas.OneWebhook(webhook=presenters.webhook(changed)))


async def change_webhook(request: Request, services: Services, owner: Owner, webhook_id: str) -> ShownWebhook:
    """Change a webhook as the body says. Raises `InvalidRequest` and what `Webhooks.change` raises."""
    body = await json_object(request)
    enabled = body.get("enabled")
    if enabled is not None and not isinstance(enabled, bool):
        raise InvalidRequest("enabled must be true or false")
    url, events = _url_of(body), _events_of(body)
    return await services.webhooks.change(owner, webhook_id, url=url, events=events, enabled=enabled)


@router.delete("/{webhook_id}", **described.DELETE)
async def delete(webhook_id: str, services: ServicesDep, key: Caller) -> JSONResponse:
    await services.webhooks.remove(key, webhook_id)
    return reply(Done())


@router.post("/{webhook_id}/rotate", **described.ROTATE)
async def rotate(webhook_id: str, request: Request, services: ServicesDep, key: Caller) -> JSONResponse:
    shown, secret = await rotate_secret(request, services, key, webhook_id)
    return reply(webhook_schemas.WebhookWithSecret(webhook=presenters.webhook(shown), secret=secret))


async def rotate_secret(
    request: Request, services: Services, owner: Owner, webhook_id: str
) -> tuple[ShownWebhook, str]:
    """Give a webhook a new secret, with the overlap that the body names; return the webhook and the secret. Raises
    `InvalidRequest` and `WebhookNotFound`.
    """
    hours = (await json_object(request)).get("overlap_hours", DEFAULT_OVERLAP_HOURS)
    most = MAX_OVERLAP_MS // HOUR_MS
    if isinstance(hours, bool) or not isinstance(hours, int | float) or not 0 <= hours <= most:
        raise InvalidRequest(f"overlap_hours must be a number from 0 to {most}")
    record, secret = await services.webhooks.rotate(owner, webhook_id, overlap_ms=int(hours * HOUR_MS))
    return await services.webhooks.get(owner, record.id), secret


@router.post("/{webhook_id}/ping", status_code=202, **described.PING)
async def ping(webhook_id: str, services: ServicesDep, key: Caller) -> JSONResponse:
    shown = await services.webhooks.ping(key, webhook_id)
    return reply(webhook_schemas.OneDelivery(delivery=presenters.delivery(shown)), 202)


@router.post("/{webhook_id}/replay", status_code=202, **described.REPLAY_ALL)
async def replay_undelivered(webhook_id: str, services: ServicesDep, key: Caller) -> JSONResponse:
    return reply(webhook_schemas.Replayed(replayed=await services.webhooks.replay_undelivered(key, webhook_id)), 202)


@router.get("/{webhook_id}/deliveries", **described.DELIVERIES)
async def deliveries(
    webhook_id: str,
    services: ServicesDep,
    key: Caller,
    status: Annotated[str | None, Undescribed] = None,
    limit: Annotated[str | None, Undescribed] = None,
    cursor: Annotated[str | None, Undescribed] = None,
) -> JSONResponse:
    return await list_deliveries(services, key, webhook_id, status=status, limit=limit, cursor=cursor)


async def list_deliveries(
    services: Services, owner: Owner, webhook_id: str, *, status: str | None, limit: str | None, cursor: str | None
) -> JSONResponse:
    """Raises `InvalidRequest`, `InvalidCursor` and `WebhookNotFound`."""
    if status is not None and status not in set(DeliveryStatus):
        raise InvalidRequest("Invalid status", suggestion=f"Use {', '.join(DeliveryStatus)}")
    count, before_id = MAX_LISTED if limit is None else read_limit(limit), read_id_cursor("dlvr", cursor)
    found = await services.webhooks.deliveries(owner, webhook_id, status=status, before_id=before_id, limit=count + 1)
    next_cursor = found[count - 1].delivery.id if len(found) > count else None
    shown = [presenters.delivery(one) for one in found[:count]]
    return reply(webhook_schemas.DeliveryPage(deliveries=shown, next_cursor=next_cursor))


@router.get("/{webhook_id}/deliveries/{delivery_id}", **described.DELIVERY)
async def delivery(webhook_id: str, delivery_id: str, services: ServicesDep, key: Caller) -> JSONResponse:
    shown, attempts = await services.webhooks.delivery(key, webhook_id, delivery_id)
    return reply(webhook_schemas.DeliveryDetails(delivery=presenters.delivery_details(shown, attempts)))


@router.post("/{webhook_id}/deliveries/{delivery_id}/replay", status_code=202, **described.REPLAY)
async def replay(webhook_id: str, delivery_id: str, services: ServicesDep, key: Caller) -> JSONResponse:
    shown = await services.webhooks.replay(key, webhook_id, delivery_id)
    return reply(webhook_schemas.OneDelivery(delivery=presenters.delivery(shown)), 202)
