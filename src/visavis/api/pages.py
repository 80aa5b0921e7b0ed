"""The pages: the playground, the console, the room page, their assets, and the library's voice clips."""

from __future__ import annotations

import mimetypes
import re
from functools import partial
from pathlib import Path

from anyio.to_thread import run_sync
from fastapi import APIRouter
from starlette.datastructures import Headers
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.types import Receive, Scope, Send

import visavis.library
from visavis.api.services import ServicesDep
from visavis.errors import NotFound

router = APIRouter(include_in_schema=False)

WEB = Path(__file__).parent.parent / "web"
_SAMPLES = {"greeting.wav": visavis.library.GREETING, "sample.wav": visavis.library.SAMPLE}
_TYPES = {
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
    ".webmanifest": "application/manifest+json",
}

_RANGE = re.compile(r"bytes=(?=.*\d)(\d{0,15})-(\d{0,15})", re.ASCII)


def _page(path: Path, *, cache: str) -> Response:
    try:
        there = path.is_file()
    except OSError:  # a name that is too long for any file
        there = False
    if not there:
        raise NotFound
    kind = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return _File(path, media_type=kind, headers={"Cache-Control": cache})


class _File(FileResponse):
    """A file, whole or one range of it, as media players ask for it. Other ranges are ignored (RFC 9110, section 14.2):
    Starlette answers them with an error that is plain text.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not _is_one_range(Headers(scope=scope).get("range", "")):
            scope = {**scope, "headers": [(name, value) for name, value in scope["headers"] if name != b"range"]}
        await super().__call__(scope, receive, send)


def _is_one_range(text: str) -> bool:
    found = _RANGE.fullmatch(text)
    return found is not None and (not found[1] or not found[2] or int(found[1]) <= int(found[2]))


@router.get("/")
async def playground(services: ServicesDep) -> Response:
    """Its links are relative. Below the path of a proxy they begin with that path, so that they hold where the slash at
    its end is missing.
    """
    prefix = services.settings.path_prefix
    if not prefix:
        return _page(WEB / "index.html", cache="no-cache")
    page = await run_sync(partial((WEB / "index.html").read_text, encoding="utf-8"))
    return HTMLResponse(re.sub(r'\b(href|src)="\./', rf'\1="{prefix}/', page), headers={"Cache-Control": "no-cache"})


@router.get("/console")
async def console() -> Response:
    """The operator's page. It shows nothing to anyone but a key of the scope `admin`."""
    return _page(WEB / "console.html", cache="no-cache")


@router.get("/rooms/{name}")
async def room(name: str) -> Response:
    """The page says itself what it finds: whether the room is there is told to those with its token alone."""
    return _page(WEB / "rooms" / "room.html", cache="no-cache")


@router.get("/assets/{name:path}")
async def asset(name: str) -> Response:
    """Names of assets carry the hash of what they hold, so they may be kept for good."""
    return _page(_inside(WEB / "assets", name), cache="public, max-age=31536000, immutable")


@router.get("/samples/{name}")
async def sample(name: str) -> Response:
    if name not in _SAMPLES:
        raise NotFound
    return _page(_SAMPLES[name], cache="public, max-age=3600")


@router.get("/{name}")
async def root_file(name: str) -> Response:
    """favicon.svg and the like. Pages have addresses of their own."""
    path = _inside(WEB, name)
    if path.suffix in (".html", ".py", ""):
        raise NotFound
    return _page(path, cache="public, max-age=3600")


def _inside(folder: Path, name: str) -> Path:
    """Raises `NotFound` for a name that leads out of the folder or that no file can have."""
    if "\0" in name:
        raise NotFound
    try:
        path = (folder / name).resolve()
    except OSError:  # a name that is too long, or a circle of links
        raise NotFound from None
    if not path.is_relative_to(folder.resolve()):
        raise NotFound
    return path
