"""Leads the address of a page with a slash at its end to the address without it: the links of pages are relative."""

from __future__ import annotations

from urllib.parse import quote

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse

router = APIRouter(include_in_schema=False)


@router.get("/docs/")
async def documents(request: Request) -> RedirectResponse:
    return _without_slash("docs", request)


@router.get("/docs/{name}/")
@router.get("/rooms/{name}/")
async def page(name: str, request: Request) -> RedirectResponse:
    return _without_slash(name, request)


def _without_slash(name: str, request: Request) -> RedirectResponse:
    """The address is relative, so that it holds behind any proxy (RFC 9110, section 10.2.2)."""
    query = f"?{request.url.query}" if request.url.query else ""
    return RedirectResponse(f"../{quote(name, safe='')}{query}", status_code=307)
