"""A real server as a process of its own, and a key: one for all tests that use it like an outside client."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from tests.used_folder import create_key, used_before
from visavis.demo.server_process import ServerProcess

KEY_NAME = "tests"


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveServer:
    base_url: str
    key: str
    look: str  # the look for sessions
    process: ServerProcess

    def sign_in_address(self) -> str:
        """Return an address of the playground that signs in once, with the key of the tests."""
        return self.process.sign_in_address(KEY_NAME)


@pytest.fixture(scope="session")
def live_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    folder = tmp_path_factory.mktemp("server")
    settings = {"VISAVIS_RATE_LIMIT_PER_MINUTE": "100000", "VISAVIS_CHANNEL_GRACE_S": "30"}
    with ServerProcess(data_dir=used_before(folder / "data"), log=folder / "log", settings=settings) as process:
        process.wait_ready()
        key = create_key(folder / "data", KEY_NAME)
        with httpx.Client(base_url=process.base_url, headers={"x-api-key": key}) as http:
            character = http.get("/v1/avatars/public").json()["avatars"][0]["avatar_id"]
            look = http.get("/v1/avatars", params={"parent_id": character, "characters_only": "false"}).json()[
                "avatars"
            ][0]["avatar_id"]
        yield LiveServer(base_url=process.base_url, key=key, look=look, process=process)
        log = (folder / "log").read_text()
    assert "Traceback" not in log, log  # no test has caused an unexpected error
