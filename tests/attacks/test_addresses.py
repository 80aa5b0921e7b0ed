"""Reading private pictures without a key: by ids that were seen, and by signatures that were made up."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from ulid import ULID

from tests.attacks.scale import SCALE
from tests.conftest import Service, open_service

VICTIMS = 8
NEIGHBOURS = 2 * SCALE  # on either side of each id that was seen
FORGERIES = 64 * SCALE
SIGNATURE_CHARS = 22
_BASE64URL = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def neighbours(seen: str) -> list[str]:
    """Return ids of avatars beside an id of any kind."""
    number = int(ULID.from_str(seen.partition("_")[2]))
    return [f"avat_{ULID.from_int(number + step)}" for step in range(-NEIGHBOURS, NEIGHBOURS + 1)]


def forged(address: str) -> list[str]:
    """Return the address with other signatures: one character changed, or all of them; and the address without one."""
    plain, _, query = address.partition("?")
    expiry, signature = query.removeprefix("e=").split("&s=")
    assert len(signature) == SIGNATURE_CHARS
    others = [
        signature[:place] + _BASE64URL[(_BASE64URL.index(signature[place]) + 1) % 64] + signature[place + 1 :]
        for place in range(SIGNATURE_CHARS)
    ]
    others += [secrets.token_urlsafe(16) for _ in range(FORGERIES)]
    later = f"{plain}?e={int(expiry) + 3600}&s={signature}"
    return [plain, later, *(f"{plain}?e={expiry}&s={other}" for other in others)]


async def upload(service: Service) -> tuple[str, list[str]]:
    """Make a private avatar. Return the address of its picture, and the ids that others may have seen meanwhile."""
    uploaded, seen = await asyncio.gather(
        service.client.post("/v1/avatars/upload-face", json={"image_base64": "YQ=="}),
        asyncio.gather(*(service.client.get("/healthz") for _ in range(4))),
    )
    look = uploaded.json()
    return look["image_url"], [answer.headers["request-id"] for answer in (uploaded, *seen)] + [look["avatar_id"]]


def test_a_private_picture_cannot_be_read_by_a_guess(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_service(tmp_path) as service:
            made = [await upload(service) for _ in range(VICTIMS)]
            addresses = [address for address, _ in made]
            known = {urlsplit(address).path.split("/")[3] for address in addresses}
            listed = (await service.client.get("/v1/avatars?characters_only=false")).json()["avatars"]
            guessed = {guess for _, ids in made for seen in ids for guess in neighbours(seen)}
            attempts = [f"/media/avatars/{guess}/image.jpg" for guess in sorted(guessed)]
            attempts += [attempt for address in addresses[:2] for attempt in forged(address)]
            async with httpx.AsyncClient(
                transport=httpx.ASGITransport(service.app), base_url="http://visavis.test"
            ) as stranger:
                for attempt in attempts:
                    answer = await stranger.get(attempt)
                    assert (answer.status_code, answer.headers["cache-control"]) == (404, "no-store"), attempt
                for address in addresses:
                    assert (await stranger.get(address)).status_code == 200
            assert guessed & {avatar["avatar_id"] for avatar in listed} == known, "an id leads to another one"

    asyncio.run(scenario())
