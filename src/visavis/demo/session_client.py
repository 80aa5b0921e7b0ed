"""A strict HTTP client of the hosted service's API: it compares every answer with contract.py, key by key."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from visavis.demo.contract import (
    AVATARS,
    CREATED,
    ENDED,
    STARTED,
    check,
    check_answer,
    session_document,
)
from visavis.errors import ContractBroken

START_ATTEMPTS = 20


class SessionClient:
    """The calls of one API key. `http`: a client with the server's base URL and the key."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def first_look(self) -> str:
        """Return the id of the first look of the first public character."""
        body = await self._get("/v1/avatars/public", {"success": True, "avatars": list})
        if not body["avatars"]:
            raise ContractBroken("GET /v1/avatars/public shows no avatar")
        for number, avatar in enumerate(body["avatars"]):
            check(f"avatars/public[{number}]", avatar, AVATARS)
        character = next((one for one in body["avatars"] if one["parent_id"] is None), None)
        if character is None:
            return str(body["avatars"][0]["avatar_id"])
        looks = await self._get(
            "/v1/avatars", {"success": True, "avatars": list}, parent_id=character["avatar_id"], characters_only="false"
        )
        if not looks["avatars"]:
            raise ContractBroken(f"The character {character['name']} has no look")
        for number, avatar in enumerate(looks["avatars"]):
            check(f"avatars[{number}]", avatar, AVATARS)
        return str(looks["avatars"][0]["avatar_id"])

    async def create(self, avatar_id: str, metadata: dict[str, Any]) -> dict[str, Any]:
        """Create a session. Return its document, which contains its access token."""
        answer = await self._http.post("/v1/sessions", json={"avatar_id": avatar_id, "metadata": metadata})
        session: dict[str, Any] = check_answer("POST /v1/sessions", answer, status=201, pattern=CREATED)["session"]
        check("session.metadata", session["metadata"], dict(metadata))
        return session

    async def start(self, session_id: str) -> str:
        """Start a session. Return its ws_uri."""
        for _ in range(START_ATTEMPTS):
            answer = await self._http.post(f"/v1/sessions/{session_id}/start")
            ws_uri = str(check_answer("POST …/start", answer, status=200, pattern=STARTED)["ws_uri"])
            if ws_uri != "try_again":
                return ws_uri
            await asyncio.sleep(0.25)
        raise ContractBroken("POST …/start answers try_again again and again")

    async def read(self, session_id: str, status: str) -> dict[str, Any]:
        """Return the document of the session, whose status must be `status`."""
        body = await self._get(f"/v1/sessions/{session_id}", {"success": True, "session": session_document(status)})
        session: dict[str, Any] = body["session"]
        return session

    async def end(self, session_id: str) -> None:
        """End a session twice; both answers must be the same."""
        for place in ("PUT …/end", "the second PUT …/end"):
            check_answer(place, await self._http.put(f"/v1/sessions/{session_id}/end"), status=200, pattern=ENDED)

    async def _get(self, path: str, pattern: dict[str, Any], **query: str) -> dict[str, Any]:
        return check_answer(f"GET {path}", await self._http.get(path, params=query), status=200, pattern=pattern)
