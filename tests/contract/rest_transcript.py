"""Golden transcripts of REST: requests and their exact answers, replayed against the service with a fake fleet.

A transcript is JSON lines. The first line holds `title`, and can hold `settings` of the server and `engine: true` (the
engine studies the photos). Then, in order:
    {"world": {…}}                                        a change that no client can make, see `change`
    {"request": "POST /v1/sessions", "headers": {…}, "json": {…}}    also with "text", "form" or "bytes" (a number)
    {"answer": 201, "headers": {…}, "json": {…}}          the answer with its complete body, in order
In requests and answers $NAME stands for a known value: $LOOK and $CHARACTER (those of the key), $OTHER_KEY, and
values that an answer has captured with $=NAME. In answers $ANY is any text that is not empty, $TEXTS a list of texts,
$TIME a time, $INT a number, $BOOL true or false. $SIGNATURE at the end of an address is the query that signs a private
picture.
In forms and JSON $PHOTO:name is a photo of tests/engine/portrait/photos.py, in JSON as base64.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import httpx
from PIL import Image
from sqlalchemy import event, insert, update

from tests.conftest import Service, open_service
from tests.engine.portrait import photos
from tests.fakes import fake_prepare
from tests.proxy_rooms.daily_api import DailyApi, daily_api
from tests.proxy_rooms.double import LiveKitDouble
from visavis.avatars.preparation import prepare_with_engine
from visavis.engine.portrait.points import SevenPoints
from visavis.errors import VisavisError, error_of
from visavis.store.models import accounts, browser_tokens, plans

REST_TRANSCRIPTS = sorted((Path(__file__).parent / "rest").glob("*.jsonl"))
PHOTOS: dict[str, Callable[[], bytes]] = {
    "text": lambda: b"hello",
    "damaged": lambda: photos.encoded(photos.portrait())[:9000],
    "nobody": lambda: photos.encoded(Image.new("RGB", (400, 400), "grey"), "PNG"),
    "pair": lambda: photos.encoded(
        photos.on_wall(1024, 512, (photos.portrait(), (0, 0)), (photos.portrait(), (512, 0))), "PNG"
    ),
    "far": lambda: photos.encoded(photos.on_wall(600, 450, (photos.portrait(110), (250, 150))), "PNG"),
    "aside": lambda: photos.encoded(photos.profile().convert("RGB"), "PNG"),
    "bomb": lambda: photos.png_claiming(60_000, 60_000),
}
_SIGNATURE = re.compile(r"e=\d{10}&s=[\w-]{22}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


@dataclass(frozen=True, slots=True, kw_only=True)
class RestTranscript:
    name: str
    head: dict[str, Any]
    steps: list[dict[str, Any]]

    @classmethod
    def read(cls, path: Path) -> RestTranscript:
        head, *steps = (json.loads(line) for line in path.read_text().splitlines() if line.strip())
        return cls(name=path.stem, head=head, steps=steps)

    def errors(self) -> list[tuple[str, int, dict[str, Any]]]:
        """Return (code, status, body) of every error answer with a code."""
        bodies = [(step["answer"], step.get("json")) for step in self.steps if "answer" in step]
        return [
            (body["error"]["code"], status, body)
            for status, body in bodies
            if isinstance(body, dict) and isinstance(body.get("error"), dict)
        ]


@dataclass(slots=True)
class Photos:
    """A preparation that accepts any bytes as a face. With `engine` it uses the engine; with `error` it raises it."""

    engine: bool = False
    error: VisavisError | None = None

    async def prepare(self, image: bytes, out_dir: Path, *, points: SevenPoints | None = None) -> None:
        if self.error is not None:
            raise self.error
        await (prepare_with_engine if self.engine else fake_prepare)(image, out_dir, points=points)


@dataclass(slots=True)
class World:
    """A service, and the values of a transcript's placeholders."""

    service: Service
    photos: Photos
    doubles: ExitStack  # of other servers, which end after the service
    daily: DailyApi | None = None
    names: dict[str, str] = field(default_factory=dict)
    meanwhile: asyncio.Task[httpx.Response] | None = None  # a request whose answer is not awaited

    async def request(self, step: dict[str, Any]) -> httpx.Response:
        method, address = self.fill_placeholders(step["request"]).split(" ", 1)
        headers = self.fill_placeholders(step.get("headers", {}))
        if "json" in step:
            return await self.service.client.request(
                method, address, json=self.fill_placeholders(step["json"]), headers=headers
            )
        if "form" in step:
            form = {name: _part(value) for name, value in self.fill_placeholders(step["form"]).items()}
            return await self.service.client.request(method, address, files=form, headers=headers)
        content = b"x" * step["bytes"] if "bytes" in step else self.fill_placeholders(step.get("text", "")).encode()
        return await self.service.client.request(method, address, content=content, headers=headers)

    def fill_placeholders(self, value: Any) -> Any:
        """Replace the placeholders by their values."""
        if isinstance(value, dict):
            return {key: self.fill_placeholders(member) for key, member in value.items()}
        if isinstance(value, list):
            return [self.fill_placeholders(member) for member in value]
        if not isinstance(value, str) or "$" not in value:
            return value
        if value.startswith("$PHOTO:"):
            return base64.b64encode(PHOTOS[value[7:]]()).decode()
        if value.startswith("$FILE:"):
            return PHOTOS[value[6:]]()
        return re.sub(r"\$([A-Z0-9_]+)", lambda found: self.names.get(found[1], found[0]), value)

    def capture(self, received: Any, expected: Any) -> None:
        """Save the values of an answer that the transcript captures."""
        if isinstance(expected, dict) and isinstance(received, dict):
            for key, wanted in expected.items():
                self.capture(received.get(key), wanted)
        elif isinstance(expected, list) and isinstance(received, list):
            for got, wanted in zip(received, expected, strict=False):  # `compare` tells of another length
                self.capture(got, wanted)
        elif isinstance(expected, str) and expected.startswith("$=") and isinstance(received, str):
            self.names[expected[2:]] = received

    def compare(self, received: Any, expected: Any, place: str) -> None:
        """Assert the same members, order, values and types."""
        if isinstance(expected, str) and expected.startswith("$="):
            expected = "$ANY"
        expected = self.fill_placeholders(expected) if isinstance(expected, str) else expected
        if expected == "$ANY":
            assert isinstance(received, str) and received, (place, received)
        elif expected == "$TIME":
            assert isinstance(received, str) and _TIME.fullmatch(received), (place, received)
        elif expected == "$TEXTS":
            assert isinstance(received, list) and all(isinstance(text, str) for text in received), (place, received)
        elif expected in ("$INT", "$BOOL"):
            assert type(received) is {"$INT": int, "$BOOL": bool}[expected], (place, received)
        elif isinstance(expected, str) and expected.endswith("$SIGNATURE"):
            address, _, query = str(received).partition("?")
            assert address == expected.removesuffix("$SIGNATURE") and _SIGNATURE.fullmatch(query), (place, received)
        elif isinstance(expected, dict):
            assert isinstance(received, dict) and list(received) == list(expected), (place, received, expected)
            for key in expected:
                self.compare(received[key], expected[key], f"{place}.{key}")
        elif isinstance(expected, list):
            assert isinstance(received, list) and len(received) == len(expected), (place, received, expected)
            for index, (got, wanted) in enumerate(zip(received, expected, strict=True)):
                self.compare(got, wanted, f"{place}[{index}]")
        else:
            assert type(received) is type(expected) and received == expected, (place, received, expected)


async def replay(transcript: RestTranscript, folder: Path) -> None:
    """Replay a transcript. Fails at the first answer that differs from it."""
    async with open_world(transcript.head, folder) as world:
        answer: httpx.Response | None = None
        for number, step in enumerate(transcript.steps, start=2):
            place = f"{transcript.name}:{number}"
            if "world" in step:
                await change(world, step["world"])
            elif "request" in step:
                answer = await world.request(step)
            else:
                assert answer is not None, place
                assert answer.status_code == step["answer"], (place, answer.status_code, answer.text)
                for name, value in step.get("headers", {}).items():
                    world.capture(answer.headers.get(name), value)
                    world.compare(answer.headers.get(name, ""), value, f"{place} {name}")
                received = answer.json() if "json" in step else answer.text
                expected = step.get("json", step.get("text", ""))
                world.capture(received, expected)
                world.compare(received, expected, place)


@asynccontextmanager
async def open_world(head: dict[str, Any], folder: Path) -> AsyncIterator[World]:
    """Open a service with the settings in a transcript's first line."""
    photo_preparation = Photos()
    with ExitStack() as doubles:
        async with open_service(folder, prepare=photo_preparation.prepare, **head.get("settings", {})) as service:
            photo_preparation.engine = bool(head.get("engine"))
            world = World(service=service, photos=photo_preparation, doubles=doubles)
            character = (await service.client.get("/v1/avatars")).json()["avatars"][0]
            world.names |= {"LOOK": service.look_id, "CHARACTER": character["avatar_id"]}
            yield world
            if world.meanwhile is not None:
                world.meanwhile.cancel()
                await asyncio.wait([world.meanwhile])


async def change(world: World, action: dict[str, Any]) -> None:  # noqa: C901  # a list
    """Make a change that no client can make. `action` has one member: the name of the change and its value."""
    ((name, value),) = action.items()
    service = world.service
    if await _change_accounts(world, name, value):
        return
    match name:
        case "fleet":
            service.fleet.places = {"full": 0, "free": 100}[value]
        case "fleet_fails":
            service.fleet.failure = _error(value)
        case "fleet_waits":
            service.fleet.gate.clear() if value else service.fleet.gate.set()
        case "viewers_refused":
            service.performer(world.names["SESSION"]).refusal = None if value is None else _error(value)
        case "photos_refused":
            world.photos.error = _error(value)
        case "meanwhile":
            world.meanwhile = asyncio.create_task(world.request(value))
            await service.fleet.allocation_requested.wait()
        case "webhooks":
            service.services.dispatcher.begin_due = _send_nothing  # type: ignore[assignment,method-assign]
        case "stopping":
            service.services.live.starts.stop()
        case "livekit":
            rooms = service.services.sessions._proxy_rooms
            rooms._server = rooms.kept._server = LiveKitDouble(mode=value).server()
        case "daily":
            if world.daily is None:
                world.daily = world.doubles.enter_context(daily_api())
                daily_rooms = service.services.sessions._daily_rooms
                daily_rooms._server = daily_rooms.kept._server = world.daily.server()
            world.daily.mode = value
        case "expired_picture":
            name = world.fill_placeholders(value)
            query = service.services.pictures.query(*name.split("/"), now_s=0)
            world.names["EXPIRED"] = f"/media/avatars/{name}?{query}"
        case "expire_tokens":
            async with service.services.accounts.database.write() as connection:
                await connection.execute(update(browser_tokens).values(expires_at_ms=0))
        case "database":
            _make_read_only(service, value == "read-only")
        case "broken":
            setattr(service.services.sessions, value, _break)
        case _:
            raise AssertionError(name)


async def _change_accounts(world: World, name: str, value: Any) -> bool:
    """Make a change of accounts, keys or plans; return whether `name` is one."""
    service = world.service
    match name:
        case "another_key":
            record, key = await service.services.accounts.create(name="other", test=value == "test")
            world.names |= {"OTHER_KEY": key, "OTHER_KEY_ID": record.id}
        case "limited_key":
            _, world.names["LIMITED_KEY"] = await service.services.accounts.create(name="limited", **value)
        case "revoke":
            await service.services.accounts.revoke(world.fill_placeholders(value))
        case "plan":
            await _put_on_plan(service, value)
        case "credit":
            for account in await service.services.accounts.accounts():
                await service.services.accounts.credit(account.id, value)
        case _:
            return False
    return True


def _error(parts: list[str]) -> VisavisError:
    code, message, *suggestion = parts
    return error_of(code, message, suggestion=suggestion[0] if suggestion else None)


async def _send_nothing(*_arguments: object) -> int:
    return 0


def _break(*_arguments: object, **_named: object) -> NoReturn:
    raise RuntimeError("broken by the transcript")


def _make_read_only(service: Service, read_only: bool) -> None:
    """Let SQLite refuse to write, or write again, on every connection."""
    engine = service.services.sessions._store._database._engine.sync_engine

    def prepare(connection: Any, *_: object) -> None:
        connection.cursor().execute(f"PRAGMA query_only={int(read_only)}")

    event.listen(engine, "checkout", prepare)


def _part(value: str | bytes) -> tuple[str | None, str | bytes]:
    """Return a part of a form: bytes as a file, text as a field."""
    return ("photo", value) if isinstance(value, bytes) else (None, value)


async def _put_on_plan(service: Service, limits: dict[str, int]) -> None:
    values = {
        "included_minutes": None,
        "max_concurrency": None,
        "max_session_minutes": None,
        "waives_unwatched": False,
    } | limits
    async with service.services.sessions._store._database.write() as connection:
        await connection.execute(insert(plans).values(key="small", name="Small", **values))
        await connection.execute(update(accounts).values(plan_key="small"))
