"""The client: sessions, avatars and usage of one API key."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal
from urllib.parse import urlsplit, urlunsplit

import httpx

from visavis_client.channel import AsyncChannel
from visavis_client.documents import Avatar, Page, Room, SessionDocument
from visavis_client.errors import InvalidRequest, NoCapacity, RateLimited, VisavisError
from visavis_client.session import AsyncSession, Opening, finish_in_any_case
from visavis_client.transport import RETRIES, TIMEOUT_S, USER_AGENT, Transport, new_idempotency_key

AspectRatio = Literal["4:3", "3:4", "1:1"]
DEFAULT_URL = "http://127.0.0.1:8000"


class AsyncVisavis:
    """The calls of one API key. Use it as a context, or close it with `aclose()`.

    `base_url`: of the server; default: the variable VISAVIS_API_URL, else port 8000 of this machine. `api_key`:
    default: the variable VISAVIS_API_KEY. `retries`: how often a call is repeated that may succeed later. `http`: an
    httpx client of your own, with whatever proxies and certificates it needs.
    """

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        *,
        retries: int = RETRIES,
        timeout_s: float = TIMEOUT_S,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        self.base_url = (base_url or os.environ.get("VISAVIS_API_URL") or DEFAULT_URL).rstrip("/")
        key = api_key or os.environ.get("VISAVIS_API_KEY")
        if not key:
            raise VisavisError("An API key is needed: give api_key, or set VISAVIS_API_KEY")
        self._http = http or httpx.AsyncClient(timeout=timeout_s)
        self._http.base_url = httpx.URL(self.base_url)
        self._http.headers.update({"x-api-key": key, "user-agent": USER_AGENT})
        transport = Transport(self._http, retries=retries)
        self._transport = transport
        self.sessions = AsyncSessions(transport, self.base_url)
        self.avatars = AsyncAvatars(transport)

    async def __aenter__(self) -> AsyncVisavis:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections. Sessions go on until their own end."""
        await self._http.aclose()

    async def usage(self) -> Mapping[str, Any]:
        """Return the plan of the account and what it has used in this month."""
        usage: Mapping[str, Any] = (await self._transport.get("/v1/usage"))["usage"]
        return usage

    async def capacity(self) -> Mapping[str, Any]:
        """Return how many sessions of each size the machine has room for."""
        capacity: Mapping[str, Any] = (await self._transport.get("/v1/capacity"))["capacity"]
        return capacity


class AsyncSessions:
    """The sessions of an account."""

    def __init__(self, transport: Transport, base_url: str) -> None:
        self._transport = transport
        self._channel_url = _channel_url(base_url)

    def create(
        self,
        avatar: str | Path | bytes,
        *,
        aspect_ratio: AspectRatio = "4:3",
        room: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        output: Mapping[str, Any] | None = None,
        hold_for_viewer_s: float | None = None,
        features: Sequence[str] = (),
        options: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> Opening:
        """Start a session with an avatar.

        `avatar`: an avatar's id, the address of a photo, or a photo (path or bytes). `hold_for_viewer_s`: speech waits
        so long for the first viewer. `features`: of the channel, beside those that the client needs. `options`: further
        members of the request.

            async with client.sessions.create(avatar="avat_…") as session:
                print(session.watch_url)
                await session.speak("hello.wav")

        A call that is cancelled leaves no session behind.
        """
        body: dict[str, Any] = {"avatar": _avatar(avatar), "aspect_ratio": aspect_ratio}
        body |= {"room": dict(room)} if room else {}
        body |= {"metadata": dict(metadata)} if metadata else {}
        body |= {"output": dict(output)} if output else {}
        body |= dict(options or {})
        init = {} if hold_for_viewer_s is None else {"hold_for_viewer_s": hold_for_viewer_s}
        return Opening(self._create(body, init, features, idempotency_key or new_idempotency_key()))

    async def get(self, session_id: str) -> SessionDocument:
        return SessionDocument.of((await self._transport.get(f"/v1/sessions/{session_id}"))["session"])

    async def end(self, session_id: str) -> SessionDocument:
        """End a session. May be called twice."""
        return SessionDocument.of((await self._transport.post(f"/v1/sessions/{session_id}/end"))["session"])

    async def page(
        self,
        *,
        status: str = "all",
        limit: int = 100,
        cursor: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Page:
        """Return one page of the sessions, newest first."""
        filters = {f"metadata.{key}": value for key, value in (metadata or {}).items()}
        answer = await self._transport.get("/v1/sessions", status=status, limit=limit, cursor=cursor, **filters)
        return Page(
            sessions=tuple(SessionDocument.of(document) for document in answer["sessions"]),
            next_cursor=answer.get("next_cursor"),
        )

    async def list(
        self, *, status: str = "all", metadata: Mapping[str, str] | None = None
    ) -> AsyncIterator[SessionDocument]:
        """Yield all sessions, newest first, page by page."""
        cursor: str | None = None
        while True:
            page = await self.page(status=status, cursor=cursor, metadata=metadata)
            for session in page.sessions:
                yield session
            if (cursor := page.next_cursor) is None:
                return

    async def _create(
        self, body: Mapping[str, Any], init: Mapping[str, Any], features: Sequence[str], key: str
    ) -> AsyncSession:
        try:
            answer = await self._transport.post("/v1/sessions", body, idempotency_key=key)
        except asyncio.CancelledError as cancelled:
            if not isinstance(cancelled.__cause__, (NoCapacity, RateLimited)):  # else the server has made nothing
                await finish_in_any_case(self._undo(body, key))
            raise
        document = answer["session"]
        channel = AsyncChannel(
            self._channel_url,
            {"session_id": document["session_id"], "session_token": document.get("session_token"), **init},
            features=features,
        )
        return AsyncSession(self._transport, document, Room.of(answer.get("room")), channel)

    async def _undo(self, body: Mapping[str, Any], key: str) -> None:
        """End the session of a create whose answer nobody waited for: the same call once more tells its id."""
        with contextlib.suppress(VisavisError):
            answer = await self._transport.post("/v1/sessions", body, idempotency_key=key)
            await self._transport.post(f"/v1/sessions/{answer['session']['session_id']}/end")


class AsyncAvatars:
    """The avatars of an account, and the public ones."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def public(self) -> tuple[Avatar, ...]:
        """Return the public characters, newest first."""
        return _avatars(await self._transport.get("/v1/avatars/public"))

    async def list(self, *, parent_id: str | None = None, characters_only: bool = True) -> tuple[Avatar, ...]:
        """Return your own characters and the public ones; with `parent_id` the looks of a character."""
        only = "true" if characters_only and parent_id is None else "false"
        return _avatars(await self._transport.get("/v1/avatars", parent_id=parent_id, characters_only=only))

    async def upload(
        self, photo: str | Path | bytes, *, name: str | None = None, points: Mapping[str, Any] | None = None
    ) -> Avatar:
        """Make an avatar from a photo: a path, the bytes of a picture, or an http(s) address. Takes seconds.

        Raises `InvalidRequest`, whose `code` names what is wrong with the photo: `NO_FACE`, `SEVERAL_FACES`, ….
        """
        body: dict[str, Any] = {"name": name} if name else {}
        body |= {"points": dict(points)} if points else {}
        body |= _photo(photo)
        answer = await self._transport.post("/v1/avatars/upload-face", body)
        return Avatar.of({**answer, "name": f"{name or 'My avatar'} (Look)"})

    async def report(self, avatar_id: str) -> Mapping[str, Any]:
        """Return what was found in the photo of an avatar."""
        report: Mapping[str, Any] = (await self._transport.get(f"/v1/avatars/{avatar_id}/report"))["report"]
        return report

    async def delete(self, avatar_id: str) -> None:
        """Delete an avatar with all its files. Live sessions finish first."""
        await self._transport.delete(f"/v1/avatars/{avatar_id}")


def _avatars(answer: Mapping[str, Any]) -> tuple[Avatar, ...]:
    return tuple(Avatar.of(document) for document in answer["avatars"])


def _avatar(avatar: str | Path | bytes) -> str:
    if isinstance(avatar, str):
        return avatar
    return base64.b64encode(_content(avatar)).decode()


def _photo(photo: str | Path | bytes) -> dict[str, str]:
    if isinstance(photo, str) and photo.startswith(("http://", "https://")):
        return {"image_url": photo}
    return {"image_base64": base64.b64encode(_content(photo)).decode()}


def _content(photo: str | Path | bytes) -> bytes:
    if isinstance(photo, bytes):
        return photo
    try:
        return Path(photo).read_bytes()
    except OSError as error:
        raise InvalidRequest(f"{photo} cannot be read: {error.strerror}", status=0, code="IMAGE_UNREADABLE") from None


def _channel_url(base_url: str) -> str:
    parts = urlsplit(base_url)
    scheme = "wss" if parts.scheme == "https" else "ws"
    return urlunsplit((scheme, parts.netloc, parts.path.rstrip("/") + "/v1/channel", "", ""))
