"""A real WebKit, as Debian carries it: `make webkit-check`, which installs it (100 MB). In no CI.

WebKitGTK is built without WebRTC there, so it shows no room: the page has to say so.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx

from tests.connections.test_https import start_session
from tests.fakes import FakeFleet, fake_prepare
from visavis.demo.server_process import free_port
from visavis.server import RunningServer
from visavis.settings import Settings

WITHIN_S = 120.0
SEEN = "return [typeof RTCPeerConnection, document.querySelector('#room').dataset.state, document.body.innerText]"
SAYS = "This browser has no WebRTC"


class Tab:
    """A window of WebKit, driven by WebDriver (https://www.w3.org/TR/webdriver2/)."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http
        self._session = self._ask("/session", capabilities={"alwaysMatch": {}})["sessionId"]

    def _ask(self, path: str, **members: Any) -> Any:
        answer = self._http.post(path, json=members)
        assert answer.status_code == 200, answer.text
        return answer.json()["value"]

    def goto(self, url: str) -> None:
        self._ask(f"/session/{self._session}/url", url=url)

    def evaluate(self, script: str) -> Any:
        return self._ask(f"/session/{self._session}/execute/sync", script=script, args=[])

    def close(self) -> None:
        self._http.delete(f"/session/{self._session}")


@contextmanager
def webkit() -> Iterator[Tab]:
    driver = shutil.which("WebKitWebDriver")
    assert driver is not None, "install webkit2gtk-driver and xvfb"
    port = free_port()
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "WEBKIT_DISABLE_COMPOSITING_MODE": "1"}
    command = ["xvfb-run", "--auto-servernum", driver, f"--port={port}"]
    with subprocess.Popen(command, env=environment, start_new_session=True) as process:
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=WITHIN_S) as http:
                deadline_s = time.monotonic() + WITHIN_S
                while True:
                    with suppress(httpx.TransportError):
                        http.get("/status")
                        break
                    assert time.monotonic() < deadline_s and process.poll() is None
                    time.sleep(0.2)  # there is no event that tells when the socket opens
                tab = Tab(http)
                yield tab
                tab.close()
        finally:
            os.killpg(process.pid, 15)


def test_the_room_page_says_that_this_browser_has_no_webrtc(tmp_path: Path) -> None:
    with RunningServer(Settings(data_dir=tmp_path), fleet=FakeFleet(), prepare=fake_prepare) as server:
        with httpx.Client(base_url=server.base_url, headers={"x-api-key": server.api_key}) as api:
            room = start_session(api)[0]["daily_room"]
        with webkit() as tab:
            tab.goto(f"{room['url']}?t={room['token']}")
            deadline_s = time.monotonic() + WITHIN_S
            while (seen := tab.evaluate(SEEN))[1] != "refused":
                assert time.monotonic() < deadline_s, seen
                time.sleep(0.2)  # the page tells nobody outside
            print(f"\n{tab.evaluate('return navigator.userAgent')}: {seen}")
            assert seen[0] == "undefined" and SAYS in seen[2]
