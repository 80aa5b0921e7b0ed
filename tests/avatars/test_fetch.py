"""Fetching an image from an address that a stranger chose."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address

import pytest

from visavis.avatars.fetch import Address, fetch_image, is_public
from visavis.errors import ImageTooLarge, PortraitRefused

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.1.2.3", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254",
        "100.64.0.1", "192.0.2.1",
        "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "::", "::1", "fe80::1", "fc00::1", "ff02::1",
        "2001:db8::1", "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "2002:7f00:1::", "2002:a00:1::", "64:ff9b::7f00:1", "64:ff9b::a00:1", "::127.0.0.1",
    ],
)  # fmt: skip
def test_inner_addresses_are_not_public(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "64:ff9b::808:808"])
def test_the_internets_addresses_are(address: str) -> None:
    assert is_public(ip_address(address))


class _Handler(BaseHTTPRequestHandler):
    """/image: an image; /loop: itself; /away: to the address in the query; /large: 2 MB; /slow: nothing, until the
    server stops.
    """

    stopped: threading.Event
    seen: list[tuple[str, str]]

    def do_GET(self) -> None:
        self.seen.append((self.path, self.headers["host"]))
        if self.path == "/image":
            self._answer(200, body=b"an image")
        elif self.path == "/loop":
            self._answer(302, location="/loop")
        elif self.path.startswith("/away?"):
            self._answer(302, location=self.path.partition("?")[2])
        elif self.path == "/large":
            self._answer(200, body=b"x" * 2_000_000)
        elif self.path == "/slow":
            self.stopped.wait()
        else:
            self._answer(404)

    def _answer(self, status: int, *, body: bytes = b"", location: str | None = None) -> None:
        self.send_response(status)
        if location is not None:
            self.send_header("Location", location)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(OSError):  # the client may have seen enough
            self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        pass


@contextmanager
def serving() -> Iterator[tuple[str, list[tuple[str, str]]]]:
    class Handler(_Handler):
        stopped = threading.Event()
        seen: list[tuple[str, str]] = []  # noqa: RUF012 -- made for each server

    web = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=web.serve_forever)
    thread.start()
    try:
        yield f"http://example.org:{web.server_port}", Handler.seen
    finally:
        Handler.stopped.set()
        web.shutdown()
        thread.join()
        web.server_close()


async def to_loopback(host: str, _port: int) -> list[str]:
    """Every name is this machine, addresses are themselves."""
    try:
        return [str(ip_address(host))]
    except ValueError:
        return ["127.0.0.1"]


def loopback_only(address: Address) -> bool:
    return str(address) == "127.0.0.1"


async def fetch(url: str, *, max_bytes: int = 1_000_000, timeout_s: float = 10) -> bytes:
    return await fetch_image(url, max_bytes=max_bytes, timeout_s=timeout_s, resolve=to_loopback, allowed=loopback_only)


async def test_fetches_from_the_address_that_was_checked_with_the_name_in_host() -> None:
    with serving() as (base, seen):
        assert await fetch(base + "/image") == b"an image"
        assert seen == [("/image", base.removeprefix("http://"))]


async def test_follows_redirects_and_checks_each() -> None:
    with serving() as (base, seen):
        assert await fetch(base + "/away?/image") == b"an image"
        assert await fetch(base + f"/away?{base}/image") == b"an image"
        for inner in (
            "http://10.0.0.1/",
            "http://[::1]/",
            "file:///etc/passwd",
            "ftp://example.org/",
            "http://169.254.169.254/latest/meta-data",
        ):
            with pytest.raises(PortraitRefused) as refused:
                await fetch(base + f"/away?{inner}")
            assert refused.value.code == "IMAGE_URL_REFUSED"
        assert {host for _, host in seen} == {base.removeprefix("http://")}


@pytest.mark.parametrize("path", ["/loop", "/missing"])
async def test_refuses_what_gives_no_image(path: str) -> None:
    with serving() as (base, _), pytest.raises(PortraitRefused) as refused:
        await fetch(base + path)
    assert refused.value.code == "IMAGE_URL_REFUSED"


async def test_size_and_time_are_bounded() -> None:
    with serving() as (base, _):
        with pytest.raises(ImageTooLarge):
            await fetch(base + "/large")
        with pytest.raises(PortraitRefused) as refused:
            await fetch(base + "/slow", timeout_s=0.05)
        assert refused.value.code == "IMAGE_URL_REFUSED"


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/", "http://localhost/", "http://[::1]/", "http://0x7f.1/", "http://2130706433/", "http://127.1/", 
        "https://10.1.1.1/a.jpg",
        "http://user:pass@192.168.0.1/", "file:///etc/passwd", "gopher://x", "", "http://", "http:///x",
        "http://[", "http://a b/", "//example.org",
        "\0",
        "http://exa\u0000mple.org/", "http://example.org:99999/", "http://\ud800.org/",
    ],
)  # fmt: skip
async def test_refuses_with_the_real_guard(url: str) -> None:
    with pytest.raises(PortraitRefused) as refused:
        await fetch_image(url, max_bytes=1000, timeout_s=5)
    assert refused.value.code == "IMAGE_URL_REFUSED"


async def test_one_inner_address_among_public_ones_is_enough_to_refuse() -> None:
    async def mixed(_host: str, _port: int) -> list[str]:
        return ["8.8.8.8", "10.0.0.1"]

    with pytest.raises(PortraitRefused):
        await fetch_image("http://example.org/", max_bytes=1000, resolve=mixed)
