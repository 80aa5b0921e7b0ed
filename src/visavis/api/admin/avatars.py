"""/v1/admin/avatars: the avatars of every account and of the library. docs/reference/admin.md, "Avatars"."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from starlette.responses import JSONResponse

from visavis.api.admin import presenters, schemas
from visavis.api.admin.parts import cut, names_of, read_count, read_id
from visavis.api.cursors import read_id_cursor
from visavis.api.described.admin import avatars as described
from visavis.api.described.parts import Undescribed
from visavis.api.schemas.parts import Done
from visavis.api.services import AddressesDep, ServicesDep
from visavis.api.sessions import reply

router = APIRouter(prefix="/v1/admin/avatars", tags=["admin"])


@router.get("", **described.LIST)
async def listed(
    services: ServicesDep,
    addresses: AddressesDep,
    account_id: Annotated[str | None, Undescribed] = None,
    limit: Annotated[str | None, Undescribed] = None,
    cursor: Annotated[str | None, Undescribed] = None,
) -> JSONResponse:
    count, of_account = read_count(limit), read_id("acct", "account_id", account_id)
    page = services.avatars.page(account_id=of_account, before_id=read_id_cursor("avat", cursor), limit=count + 1)
    found, last = cut(await page, count)
    names = await names_of(services.accounts, (one.owner_account_id for one in found))
    addresses = addresses.with_public(one.id for one in found if one.is_public)
    shown = [presenters.avatar(one, names, addresses) for one in found]
    return reply(schemas.AdminAvatarPage(avatars=shown, next_cursor=None if last is None else last.id))


@router.delete("/{avatar_id}", **described.DELETE)
async def delete(avatar_id: str, services: ServicesDep) -> JSONResponse:
    await services.avatars.delete_as_operator(avatar_id)
    await services.avatars.purge(spared=services.live.table.starting_avatars())
    return reply(Done())
