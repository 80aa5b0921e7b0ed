"""The OpenAPI description is correct: it describes every answer to generated requests.

This is a short run with a fixed seed, which leaves out some requests of calls that have very many. For a long run with
all of them, and with different ones each time:
    VISAVIS_SCHEMA_EXAMPLES=500 .venv/bin/pytest tests/contract/test_openapi.py --timeout=3600
"""

from __future__ import annotations

import asyncio
import itertools
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from pydantic import SecretStr
from schemathesis import checks
from schemathesis.core.result import Ok
from schemathesis.generation.feedback import NO_FEEDBACK
from schemathesis.pytest._test_builder import build_operation_test

from tests import postgresql
from tests.contract.openapi import OPENAPI
from tests.fakes import FakeFleet, fake_prepare
from visavis.accounts.scopes import Scope
from visavis.accounts.service import Accounts
from visavis.engine.portrait.points import SevenPoints
from visavis.engine.portrait.report import PreparationReport, Remark, write_report
from visavis.errors import ImageUrlRefused
from visavis.server import RunningServer
from visavis.settings import Settings
from visavis.store.database import Database

LONG = "VISAVIS_SCHEMA_EXAMPLES" in os.environ
EXAMPLES = int(os.environ.get("VISAVIS_SCHEMA_EXAMPLES", "4"))
ALL_SENT, THEN_EVERY = 40, 4  # of a call in the short run
CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.allow_header_conformance,
    checks.unsupported_method,
]
REPORT = PreparationReport(
    photo_width_px=256,
    photo_height_px=256,
    photo_eye_distance_px=21.4,
    width_px=768,
    height_px=768,
    eye_distance_px=92.0,
    roll_deg=3.2,
    yaw_deg=-0.4,
    pitch_deg=10.5,
    remarks=(
        Remark.found("BEARD", "There is a beard"),
        Remark.warned("FACE_SMALL", "It is small", "Send a larger one"),
    ),
    steps_ms={},
)
WITH_URL = (
    "POST /v1/webhooks",
    "PATCH /v1/webhooks/{webhook_id}",
    "POST /v1/admin/webhooks",
    "PATCH /v1/admin/webhooks/{webhook_id}",
)
OFFER = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\n"


@schemathesis.serializer("application/sdp", "application/trickle-ice-sdpfrag")
def as_text(_context: Any, value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


@schemathesis.deserializer("image/jpeg", "application/sdp")
def as_it_is(_context: Any, response: Any) -> Any:
    return response.content.decode("latin-1")


async def prepare(image: bytes, out_dir: Path, *, points: SevenPoints | None = None) -> None:
    await fake_prepare(image, out_dir, points=points)
    (out_dir / "report.json").write_text(write_report(REPORT))


async def fetch_nothing(fetcher: object, url: str) -> bytes:
    raise ImageUrlRefused("The image could not be fetched")


class PopulatedServer:
    """A running server with avatars, and sessions of every status with their rooms. `adapt` lets requests name them."""

    def __init__(self, server: RunningServer, *, admin_key: str, spare_key_id: str, account_id: str) -> None:
        self.base_url, self.admin_key = server.base_url, admin_key
        self.session = requests.Session()  # of the generated requests
        self.client = httpx.Client(base_url=server.base_url, headers={"x-api-key": server.api_key})
        self.look, spare = (self.post("/v1/avatars/upload-face", files={"file": b"a face"})["avatar_id"] for _ in "12")
        sessions, in_rooms = self.three_sessions(), self.three_sessions()
        own = self.post("/v1/sessions", json={"avatar": self.look})
        self.tokens = {session["daily_room"]["name"]: session["daily_room"]["token"] for session in in_rooms}
        started = in_rooms[1]["daily_room"]
        bearer = {"Authorization": f"Bearer {started['token']}", "Content-Type": "application/sdp"}
        watched = self.client.post(f"/rooms/{started['name']}/whep", content=OFFER, headers=bearer)
        viewer_id = watched.headers["Location"].rpartition("/")[2]
        self.numbers = itertools.count()
        hook, spare_hook = (
            self.post("/v1/webhooks", json={"url": f"http://127.0.0.1:9/{name}"})["webhook"]["webhook_id"]
            for name in ("hook", "spare")
        )
        delivery_id = self.post(f"/v1/webhooks/{hook}/ping")["delivery"]["delivery_id"]
        ids = [session["session_id"] for session in (*sessions, own["session"])]
        minted = self.post(f"/v1/sessions/{ids[1]}/tokens", json={"purpose": "watch"})["token"]["token_id"]
        self.path_parameters = {
            "session_id": itertools.cycle([*ids, "odd"]),
            "avatar_id": itertools.cycle([self.look, "odd", self.look]),
            "deleted_avatar_id": itertools.cycle([spare, "odd"]),
            "token_id": itertools.cycle([minted, "odd"]),
            "webhook_id": itertools.cycle([hook, "odd", hook]),
            "deleted_webhook_id": itertools.cycle([spare_hook, "odd"]),
            "delivery_id": itertools.cycle([delivery_id, "odd"]),
            "room": itertools.cycle([started["name"], *self.tokens, "vv-odd"]),
            "picture": itertools.cycle(["image.jpg", "preview.jpg", "image.jpg", "odd"]),
            "viewer_id": itertools.cycle([viewer_id, "odd"]),
            "account_id": itertools.cycle([account_id, "odd", account_id]),
            "key_id": itertools.cycle([spare_key_id, "odd"]),
            "plan": itertools.cycle(["small", "Odd"]),
        }

    def post(self, address: str, **body: Any) -> Any:
        return self.client.post(address, **body).raise_for_status().json()

    def three_sessions(self) -> list[dict[str, Any]]:
        """Return a session that is created, one that is started and one that has ended."""
        made = [self.post("/v1/sessions", json={"avatar_id": self.look})["session"] for _ in range(3)]
        for session in made[1:]:
            self.post(f"/v1/sessions/{session['session_id']}/start")
        self.post(f"/v1/sessions/{made[2]['session_id']}/end")
        return made

    def adapt(self, case: Any) -> None:
        """Give a request the ids of existing things in most cases, and the key or token that they need."""
        label = case.operation.label
        for name in case.path_parameters or {}:
            if name == "name":
                kind = "picture" if "/media/" in label else "room"
            else:
                deleted = re.match("DELETE /v1/(admin/)?(avatars|webhooks)", label)
                kind = f"deleted_{name}" if deleted else name
            case.path_parameters[name] = next(self.path_parameters[kind])
        if "/rooms/" in label:
            case.headers["Authorization"] = f"Bearer {self.tokens.get(case.path_parameters['name'], 'odd')}"
            if label.startswith("PATCH"):
                case.headers["If-Match"] = f'"{case.path_parameters["viewer_id"]}"'
        else:
            case.headers["x-api-key"] = self.admin_key if "/v1/admin" in label else self.client.headers["x-api-key"]
        if case.headers.get(
            "Idempotency-Key"
        ):  # the key of an example would make each request a repetition of the first
            case.headers["Idempotency-Key"] += str(next(self.numbers))
        if label in WITH_URL and isinstance(case.body, dict):
            case.body |= {name: f"http://127.0.0.1:9/{next(self.numbers)}" for name in ("url",) if name in case.body}
        if label == "POST /v1/admin/webhooks" and isinstance(case.body, dict) and "account_id" in case.body:
            case.body["account_id"] = next(self.path_parameters["account_id"])
        if label == "POST /v1/sessions" and isinstance(case.body, dict):
            case.body |= {name: self.look for name in ("avatar_id", "avatar") if isinstance(case.body.get(name), str)}
        if label == "POST /rooms/{name}/whep" and next(self.numbers) % 2:
            case.body = OFFER


async def operators_keys(settings: Settings) -> dict[str, str]:
    """Make a key of an operator, and one that it may revoke."""
    database = await Database.open(settings.resolved_database_url)
    try:
        accounts = Accounts(database)
        _, admin_key = await accounts.create(name="operator", scopes=[Scope.ADMIN])
        spare, _ = await accounts.create(name="spare")
        return {"admin_key": admin_key, "spare_key_id": spare.id, "account_id": spare.account_id}
    finally:
        await database.aclose()


@contextmanager
def populated_server(folder: Path, database_url: str | None) -> Iterator[PopulatedServer]:
    chosen = Settings(
        data_dir=folder,
        database_url=None if database_url is None else SecretStr(database_url),
        rate_limit_per_minute=1_000_000,
        log_level="error",
        webhook_networks=("127.0.0.1/32",),
    )
    with RunningServer(chosen, fleet=FakeFleet(places=1_000_000), prepare=prepare) as server:
        populated = PopulatedServer(server, **asyncio.run(operators_keys(chosen)))
        with closing(populated.client), populated.session:
            yield populated


@pytest.fixture(scope="module")
def populated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[PopulatedServer]]:
    """A server with each database; where PostgreSQL is not installed, with SQLite alone."""
    cluster = None if postgresql.programs() is None else postgresql.shared_cluster()
    urls = [None] if cluster is None else [None, postgresql.new_database(cluster)]
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        patch.setattr("visavis.avatars.fetch.ImageFetcher.fetch", fetch_nothing)  # tests do not use the internet
        yield [stack.enter_context(populated_server(tmp_path_factory.mktemp("api"), url)) for url in urls]
    for url in urls[1:]:
        assert cluster is not None and url is not None
        postgresql.drop_database(cluster, url)


OPERATIONS = [f"{method.upper()} {path}" for path, methods in OPENAPI["paths"].items() for method in methods]


@pytest.fixture(scope="module")
def operations() -> dict[str, Any]:
    """The operations as schemathesis reads them, by method and path."""
    schema = schemathesis.openapi.from_dict(deepcopy(OPENAPI))
    found = [one.ok() for one in schema.get_all_operations() if isinstance(one, Ok)]
    return {operation.label: operation for operation in found}


@settings(
    max_examples=EXAMPLES,
    derandomize=not LONG,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def is_described(case: Any, populated: list[PopulatedServer], numbers: Iterator[int]) -> None:
    """In the short run requests go to one server after the other, in the long run to both."""
    number = next(numbers)
    if not LONG and number > ALL_SENT and number % THEN_EVERY:
        return
    servers = populated if LONG else populated[:1]
    for server in servers:
        server.adapt(case)
        case.call_and_validate(checks=CHECKS, base_url=server.base_url, session=server.session)
    populated.reverse()  # in place: the next request goes to the other one


@pytest.mark.timeout(400)  # some operations take many seconds beside other tests
@pytest.mark.parametrize("label", OPERATIONS)
def test_every_answer_is_described(label: str, operations: dict[str, Any], populated: list[PopulatedServer]) -> None:
    """`schema.parametrize()` would make the requests of all operations in each process that collects tests. And with
    pytest 9.2 it gives all its tests one name: of those, processes side by side run one alone.
    """
    operation = operations[label]
    test = build_operation_test(
        config=operation.schema.config,
        operation=operation,
        test_func=is_described,
        given_kwargs={},
        feedback=NO_FEEDBACK,
    )
    test(populated=populated, numbers=itertools.count(1))
