"""Servers for tests: `server` is a complete server with real stages and a real avatar; `service` is the service alone,
with fakes.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import inspect
import os
import socket
import sys
import time
import warnings
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio.lowlevel
import httpx
import pytest
import structlog
from fastapi import FastAPI

from tests import postgresql, sqlite_template
from tests.fakes import FakeFleet, FakePerformer, fake_prepare
from tests.live_server import live_server as live_server
from tests.passed_before import PassedBefore
from tests.seconds_by_file import SecondsByFile
from tests.used_folder import used_before
from visavis.api.app import create_app
from visavis.api.services import Services
from visavis.avatars.preparation import Prepare
from visavis.library import LibraryPortrait
from visavis.server import RunningServer
from visavis.settings import Settings

READY_WITHIN_S = 60.0
TEARDOWN_S = 20.0
MADE_BESIDE = (
    *(f"livekit/test_{name}.py" for name in ("livekit_room", "plugin", "proxy_rooms")),
    "pipecat/test_pipecat.py",
    "avatars/test_object_store.py",
)

# Names the file of `tests.passed_before`; set in a whole run.
PASSED_FILE = "VISAVIS_TESTS_PASSED"

# Of every server and command that a test starts: the machine may be busy with other tests, and then nothing would fit.
os.environ.setdefault("VISAVIS_ADMISSION", "counted")
# The tests that need a spare stage have one: each takes two seconds of a core to start.
os.environ.setdefault("VISAVIS_SPARE_STAGE", "false")
# Many tests kill their servers. No stage waits for the next one, which never comes.
os.environ.setdefault("VISAVIS_STAGE_GRACE_S", "0")
# Text is taken, and no synthesiser answers.
os.environ.setdefault("VISAVIS_VOICE_URL", "http://127.0.0.1:9/v1")
os.environ.setdefault("VISAVIS_VOICE_STALL_S", "0.5")

# Servers in threads log at any time. By default structlog prints to stdout, which may be that of a test on commands;
# pytest keeps what goes to `logging`, and shows it with a failure. Tracebacks are plain: one with the values of all
# variables takes a quarter of a second.
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
    ],
    logger_factory=structlog.stdlib.LoggerFactory(),
)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Let a coroutine's time run out inside its event loop, before the timeout of pytest-timeout: that one leaves the
    coroutine where it waits, and the end of a fixture of the same loop would wait for it for ever.
    """
    if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.obj):
        limit_s = float(item.config.getoption("timeout") or 0) - TEARDOWN_S
        if limit_s > 0:
            item.obj = _within(limit_s, item.obj)


def _within(limit_s: float, test: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    @functools.wraps(test)
    async def limited(*args: object, **kwargs: object) -> None:
        async with asyncio.timeout(limit_s):
            await test(*args, **kwargs)

    return limited


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files last that wait for programs and environments which `scripts/test` makes beside the tests. Of tests
    with one name, processes side by side would run one alone.
    """
    if twice := [name for name, times in Counter(item.nodeid for item in items).items() if times > 1]:
        raise pytest.UsageError(f"Several tests have the name {twice[0]}")
    items.sort(key=lambda item: item.path.as_posix().endswith(MADE_BESIDE))


def pytest_configure(config: pytest.Config) -> None:
    postgresql.begin_run()
    if PASSED_FILE in os.environ:
        beside_others = hasattr(config, "workerinput")  # the process that started the workers hears of all tests
        config.pluginmanager.register(PassedBefore(Path(os.environ[PASSED_FILE]), writes=not beside_others))
        config.pluginmanager.register(SecondsByFile())


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Leave what the modules of all tests hold out of the garbage collection, which took a sixth of the time."""
    gc.disable()
    collected = yield
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    gc.enable()
    return collected


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """What a failed test has left open is closed here: as a warning it would fail the next test, too."""
    failed_before = item.session.testsfailed
    handled = yield
    if item.session.testsfailed > failed_before:
        sys.last_type = sys.last_value = sys.last_traceback = None
        with warnings.catch_warnings(action="ignore"):
            gc.collect()
    return handled


def pytest_unconfigure() -> None:
    postgresql.end_run()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
def _migrated_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        sqlite_template.use_template(patch)
        yield


@pytest.fixture(scope="session")
def postgresql_cluster() -> postgresql.Cluster:
    """The PostgreSQL of this run of tests."""
    if postgresql.programs() is None:
        pytest.skip("PostgreSQL is not installed: `make test` as root on Debian installs it")
    return postgresql.shared_cluster()


@pytest.fixture
def postgresql_url(postgresql_cluster: postgresql.Cluster) -> Iterator[str]:
    """An empty database of this test's own, with the newest schema."""
    url = postgresql.new_database(postgresql_cluster)
    yield url
    postgresql.drop_database(postgresql_cluster, url)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A new database, once of each kind."""
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path / 'visavis.db'}"
    url = request.getfixturevalue("postgresql_url")
    assert isinstance(url, str)
    return url


def wait_until_ready(base_url: str, client: httpx.Client | None = None) -> None:
    """Wait until /readyz answers 200. Raises TimeoutError with its last answer. `client`: to make one takes 30 ms of a
    core, so those who try often keep one.
    """
    if client is None:
        with httpx.Client() as client:
            wait_until_ready(base_url, client)
        return
    deadline_s = time.monotonic() + READY_WITHIN_S
    while (answer := client.get(base_url + "/readyz")).status_code != 200:
        if time.monotonic() > deadline_s:
            raise TimeoutError(answer.text)
        time.sleep(0.1)  # polls another process; no test asserts how long this takes


@pytest.fixture(scope="session")
def speech_listener() -> Iterator[socket.socket]:
    """Where `server` asks for the sound of text. A test that has some spoken accepts connections there."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, speech_listener: socket.socket) -> Iterator[RunningServer]:
    """A complete server with real stages, one for all tests, ready to perform: `server.base_url`, `server.api_key`."""
    settings = Settings(
        data_dir=used_before(tmp_path_factory.mktemp("server")),
        rate_limit_per_minute=100_000,
        log_level="warning",
        voice_url=f"http://127.0.0.1:{speech_listener.getsockname()[1]}/v1",
        voice_stall_s=0.6,
        voice_pronunciations={"SQL": "sequel"},
    )
    with RunningServer(settings) as running:
        wait_until_ready(running.base_url)
        yield running


@dataclass(slots=True)
class Service:
    """The service with fakes. `client` sends the key; tests use `fleet` to emit events."""

    app: FastAPI
    client: httpx.AsyncClient
    fleet: FakeFleet
    services: Services
    key: str
    look_id: str = ""

    def performer(self, session_id: str) -> FakePerformer:
        return self.fleet.performers[session_id]


class InProcess(httpx.ASGITransport):
    """Calls the application without a socket. As with one, other tasks have their turn between two calls."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await anyio.lowlevel.checkpoint()
        return await super().handle_async_request(request)


@asynccontextmanager
async def open_service(
    folder: Path,
    *,
    fleet: FakeFleet | None = None,
    portraits: Sequence[LibraryPortrait] = (),
    prepare: Prepare | None = None,
    listens_to_loopback: bool = False,
    **settings: object,
) -> AsyncIterator[Service]:
    """Run the application with its lifespan and without a socket. It has one private avatar of the client's key, and
    the library's avatars only if `portraits` are given.
    """
    fleet = fleet or FakeFleet()
    chosen = Settings(**{"data_dir": folder, "rate_limit_per_minute": 100_000} | settings)  # type: ignore[arg-type]
    app = create_app(chosen, fleet, prepare or fake_prepare, portraits, listens_to_loopback=listens_to_loopback)
    async with app.router.lifespan_context(app):
        services: Services = app.state.services
        _, key = await services.accounts.create(name="tests")
        transport = InProcess(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://visavis.test", headers={"x-api-key": key}
        ) as client:
            owner = await services.accounts.authenticate(key)
            look = await services.avatars.add(b"a face", name="Professional Avatar", owner=owner)
            yield Service(app, client, fleet, services, key, look.id)


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    async with open_service(tmp_path) as opened:
        yield opened
