"""Somebody on another machine has imported the authority: the playground has a microphone there."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from playwright.async_api import Error, async_playwright

from tests.e2e.browser import CHROMIUM, FLAGS
from tests.fakes import FakeFleet, fake_prepare
from visavis.server import RunningServer
from visavis.settings import Settings
from visavis.tls import command

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine"),
    pytest.mark.skipif(shutil.which("certutil") is None, reason="certutil (libnss3-tools) is not installed"),
]
HAS_MICROPHONE = "[isSecureContext, navigator.mediaDevices !== undefined]"


def certutil(home: Path, *words: str) -> None:
    """What Chromium believes in is in its user's NSS database."""
    subprocess.run(["certutil", "-d", f"sql:{home}/.pki/nssdb", *words], check=True)


async def test_a_browser_with_the_authority_has_a_microphone(tmp_path: Path) -> None:
    tls, home = tmp_path / "tls", tmp_path / "home"
    command.run(["box.lan"], tls)
    (home / ".pki" / "nssdb").mkdir(parents=True)
    certutil(home, "-N", "--empty-password")
    settings = Settings(data_dir=tmp_path / "data", tls_cert=tls / "server.pem", tls_key=tls / "server.key")
    with RunningServer(settings, fleet=FakeFleet(), prepare=fake_prepare) as server:
        host = f"box.lan:{server.base_url.rpartition(':')[2]}"
        async with async_playwright() as playwright:

            async def shown(*addresses: str) -> list[tuple[str, object]]:
                """Open pages in a new browser; return where each led and whether it has a microphone."""
                browser = await playwright.chromium.launch(
                    executable_path=CHROMIUM,
                    args=[*FLAGS, "--host-resolver-rules=MAP box.lan 127.0.0.1"],
                    env={**os.environ, "HOME": str(home)},
                )
                try:
                    page, found = await browser.new_page(), []
                    for address in addresses:
                        await page.goto(address, wait_until="domcontentloaded")
                        found.append((page.url, await page.evaluate(HAS_MICROPHONE)))
                    return found
                finally:
                    await browser.close()

            with pytest.raises(Error, match="ERR_CERT_AUTHORITY_INVALID"):
                await shown(f"https://{host}/")
            certutil(home, "-A", "-t", "C,,", "-n", "visavis", "-i", str(tls / "authority.pem"))
            pages = await shown(f"https://{host}/", f"http://{host}/docs")
            assert pages == [(f"https://{host}/", [True, True]), (f"https://{host}/docs", [True, True])]
