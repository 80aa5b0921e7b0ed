"""/v1/admin/webhooks: the webhooks of every account. docs/reference/admin.md, "Webhooks"."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse

from visavis.api import webhook_presenters as answers
from visavis.api.admin import presenters, schemas
from visavis.api.admin.parts import cut, names_of, read_count, read_id
from visavis.api.body import json_object
from visavis.api.cursors import read_id_cursor
from visavis.api.described.admin import webhooks as described
from visavis.api.described.parts import Undescribed
from visavis.api.schemas import webhook_schemas
from visavis.api.schemas.parts import Done
from visavis.api.services import Services, ServicesDep
from visavis.api.sessions import reply
from visavis.api.webhooks import change_webhook, create_webhook, list_deliveries, rotate_secret
from visavis.errors import InvalidRequest
from visavis.store.records import AccountOwner
from visavis.webhooks.service import ShownWebhook

router = APIRouter(prefix="/v1/admin/webhooks", tags=["admin"])


@router.get("", **described.LIST)
async def listed(
    services: ServicesDep,
    account_id: Annotated[str | None, Undescribed] = None,
    limit: Annotated[str | None, Undescribed] = None,
    cursor: Annotated[str | None, Undescribed] = None,
) -> JSONResponse:
    count, of_account = read_count(limit), read_id("acct", "account_id", account_id)
    page = services.webhooks.page(account_id=of_account, before_id=read_id_cursor("hook", cursor), limit=count + 1)
    found, last = cut(await page, count)
    names = await names_of(services.accounts, (one.webhook.account_id for one in found))
    shown = [presenters.admin_webhook(one, names) for one in found]
    return reply(schemas.AdminWebhookPage(webhooks=shown, next_cursor=None if last is None else last.webhook.id))


@router.post("", status_code=201, **described.CREATE)
async def create(request: Request, services: ServicesDep) -> JSONResponse:
    body = await json_object(request)
    account_id, test = body.get("account_id"), body.get("test", False)
    if not isinstance(account_id, str):
        raise InvalidRequest("account_id must be the id of an account")
    if not isinstance(test, bool):
        raise InvalidRequest("test must be true or false")
    account = await services.accounts.find(account_id)
    made, secret = await create_webhook(body, services, AccountOwner(account_id=account.id, test=test))
    return await _with_secret(services, made, secret, 201)


@router.get("/{webhook_id}", **described.GET)
async def get(webhook_id: str, services: ServicesDep) -> JSONResponse:
    owner = await services.webhooks.find(webhook_id)
    return await _one(services, await services.webhooks.get(owner, webhook_id))


@router.patch("/{webhook_id}", **described.CHANGE)
async def change(webhook_id: str, request: Request, services: ServicesDep) -> JSONResponse:
    owner = await services.webhooks.find(webhook_id)
    return await _one(services, await change_webhook(request, services, owner, webhook_id))


@router.delete("/{webhook_id}", **described.DELETE)
async def delete(webhook_id: str, services: ServicesDep) -> JSONResponse:
    await services.webhooks.remove(await services.webhooks.find(webhook_id), webhook_id)
    return reply(Done())


@router.post("/{webhook_id}/rotate", **described.ROTATE)
async def rotate(webhook_id: str, request: Request, services: ServicesDep) -> JSONResponse:
    owner = await services.webhooks.find(webhook_id)
    shown, secret = await rotate_secret(request, services, owner, webhook_id)
    return await _with_secret(services, shown, secret, 200)


async def _one(services: Services, shown: ShownWebhook) -> JSONResponse:
    return reply(schemas.OneAdminWebhook(webhook=await _presented(services, shown)))


async def _with_secret(services: Services, shown: ShownWebhook, secret: str, status: int) -> JSONResponse:
    webhook = await _presented(services, shown)
    return reply(schemas.AdminWebhookWithSecret(webhook=webhook, secret=secret), status)


async def _presented(services: Services, shown: ShownWebhook) -> schemas.AdminWebhook:
    return presenters.admin_webhook(shown, await names_of(services.accounts, [shown.webhook.account_id]))


@router.post("/{webhook_id}/ping", status_code=202, **described.PING)
async def ping(webhook_id: str, services: ServicesDep) -> JSONResponse:
    shown = await services.webhooks.ping(await services.webhooks.find(webhook_id), webhook_id)
    return reply(webhook_schemas.OneDelivery(delivery=answers.delivery(shown)), 202)


@router.post("/{webhook_id}/replay", status_code=202, **described.REPLAY_ALL)
async def replay_undelivered(webhook_id: str, services: ServicesDep) -> JSONResponse:
    owner = await services.webhooks.find(webhook_id)
    replayed = await services.webhooks.replay_undelivered(owner, webhook_id)
    return reply(webhook_schemas.Replayed(replayed=replayed), 202)


@router.get("/{webhook_id}/deliveries", **described.DELIVERIES)
async def deliveries(
    webhook_id: str,
    services: ServicesDep,
    status: Annotated[str | None, Undescribed] = None,
    limit: Annotated[str | None, Undescribed] = None,
    cursor: Annotated[str | None, Undescribed] = None,
) -> JSONResponse:
    owner = await services.webhooks.find(webhook_id)
    return await list_deliveries(services, owner, webhook_id, status=status, limit=limit, cursor=cursor)


@router.get("/{webhook_id}/deliveries/{delivery_id}", **described.DELIVERY)
async def delivery(webhook_id: str, delivery_id: str, services: ServicesDep) -> JSONResponse:
    owner = await services.webhooks.find(webhook_id)
    shown, attempts = await services.webhooks.delivery(owner, webhook_id, delivery_id)
    return reply(webhook_schemas.DeliveryDetails(delivery=answers.delivery_details(shown, attempts)))


@router.post("/{webhook_id}/deliveries/{delivery_id}/replay", status_code=202, **described.REPLAY)
async def replay(webhook_id: str, delivery_id: str, services: ServicesDep) -> JSONResponse:
    shown = await services.webhooks.replay(await services.webhooks.find(webhook_id), webhook_id, delivery_id)
    return reply(webhook_schemas.OneDelivery(delivery=answers.delivery(shown)), 202)
