"""/v1/admin/accounts and /v1/admin/plans. docs/reference/admin.md, "Accounts" and "Plans"."""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse

from visavis.api import presenters as answers
from visavis.api.addresses import Addresses
from visavis.api.admin import presenters, schemas
from visavis.api.admin.parts import cut, read_count
from visavis.api.body import json_object
from visavis.api.cursors import read_id_cursor
from visavis.api.described.admin import accounts as described
from visavis.api.described.parts import Undescribed
from visavis.api.names import read_name
from visavis.api.services import AddressesDep, Services, ServicesDep
from visavis.api.sessions import addresses_for, reply
from visavis.errors import InvalidRequest
from visavis.store.accounts import PlanChanges
from visavis.store.records import AccountOwner

router = APIRouter(prefix="/v1/admin", tags=["admin"])

MAX_COUNT = 2**31 - 1


@router.get("/accounts", **described.LIST)
async def listed(
    services: ServicesDep,
    limit: Annotated[str | None, Undescribed] = None,
    cursor: Annotated[str | None, Undescribed] = None,
) -> JSONResponse:
    count = read_count(limit)
    found, last = cut(await services.accounts.page(before_id=read_id_cursor("acct", cursor), limit=count + 1), count)
    shown = [presenters.account(one) for one in found]
    return reply(schemas.AdminAccountPage(accounts=shown, next_cursor=None if last is None else last.id))


@router.get("/accounts/{account_id}", **described.GET)
async def get(account_id: str, services: ServicesDep, addresses: AddressesDep) -> JSONResponse:
    return await _one(services, account_id, addresses)


@router.patch("/accounts/{account_id}", **described.CHANGE)
async def change(account_id: str, request: Request, services: ServicesDep, addresses: AddressesDep) -> JSONResponse:
    plan = (await json_object(request)).get("plan")
    if not isinstance(plan, str) or not _is_plan_key(plan):
        raise InvalidRequest("plan must be the key of a plan")
    await services.accounts.assign_plan(account_id, plan)
    return await _one(services, account_id, addresses)


async def _one(services: Services, account_id: str, addresses: Addresses) -> JSONResponse:
    account = await services.accounts.find(account_id)
    found = await services.billing.usage_of(AccountOwner(account_id=account_id))
    shown = await addresses_for([one.session for one in found.active], services, addresses)
    usage = answers.account_usage(found, shown).usage
    return reply(schemas.OneAdminAccount(account=presenters.account(account), usage=usage))


@router.get("/accounts/{account_id}/purchases", **described.PURCHASES)
async def purchases(account_id: str, services: ServicesDep) -> JSONResponse:
    found = await services.accounts.purchases(account_id)
    return reply(schemas.ManyPurchases(purchases=[presenters.purchase(one) for one in found]))


@router.post("/accounts/{account_id}/purchases", status_code=201, **described.CREDIT)
async def credit(account_id: str, request: Request, services: ServicesDep) -> JSONResponse:
    minutes = _count(await json_object(request), "minutes", least=1)
    if minutes is None:
        raise InvalidRequest("minutes is required")
    purchase = await services.accounts.credit(account_id, minutes)
    return reply(schemas.OnePurchase(purchase=presenters.purchase(purchase)), 201)


@router.get("/plans", **described.PLANS)
async def plans(services: ServicesDep) -> JSONResponse:
    found = await services.accounts.plans()
    return reply(schemas.ManyAdminPlans(plans=[presenters.plan(one) for one in found]))


@router.patch("/plans/{plan}", **described.SET_PLAN)
async def set_plan(plan: str, request: Request, services: ServicesDep) -> JSONResponse:
    if not _is_plan_key(plan):
        raise InvalidRequest("The key of a plan is 1 to 64 small letters, digits, - and _")
    body = await json_object(request)
    changes: PlanChanges = {}
    if body.get("name") is not None:
        changes["name"] = read_name(body["name"])
    if "max_concurrency" in body:
        changes["max_concurrency"] = _count(body, "max_concurrency", least=0)
    if "included_minutes" in body:
        changes["included_minutes"] = _count(body, "included_minutes", least=0)
    if "max_session_minutes" in body:
        changes["max_session_minutes"] = _count(body, "max_session_minutes", least=1)
    if body.get("waives_unwatched") is not None:
        if not isinstance(body["waives_unwatched"], bool):
            raise InvalidRequest("waives_unwatched must be true or false")
        changes["waives_unwatched"] = body["waives_unwatched"]
    return reply(schemas.OneAdminPlan(plan=presenters.plan(await services.accounts.set_plan(plan, changes))))


def _is_plan_key(text: str) -> bool:
    return re.fullmatch("[a-z0-9][a-z0-9_-]{0,63}", text) is not None


def _count(body: dict[str, Any], name: str, *, least: int) -> int | None:
    """Return a whole number; None for null. Raises `InvalidRequest`."""
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= MAX_COUNT:
        raise InvalidRequest(f"{name} must be a whole number from {least}")
    return value
