"""Fetching an image from an address that a stranger chose."""

from __future__ import annotations

import contextlib
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path

import pytest

from tests.certificates import write_certificate
from visavis.avatars.fetch import ImageFetcher, read_target
from visavis.errors import ImageTooLarge, PortraitRefused
from visavis.outbound.public_addresses import Address
from visavis.outbound.reach import is_foreign, is_own

pytestmark = pytest.mark.anyio


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
def serving(tls: tuple[Path, Path] | None = None) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    class Handler(_Handler):
        stopped = threading.Event()
        seen: list[tuple[str, str]] = []  # noqa: RUF012 -- made for each server

    web = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    web.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that hangs up is no news
    if tls is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*tls)
        web.socket = context.wrap_socket(web.socket, server_side=True)
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


EVERY_PORT = frozenset(range(1, 65536))


async def fetch(url: str, *, max_bytes: int = 1_000_000, timeout_s: float = 10) -> bytes:
    fetcher = ImageFetcher(
        max_bytes=max_bytes, ports=EVERY_PORT, timeout_s=timeout_s, resolve=to_loopback, is_allowed=loopback_only
    )
    return await fetcher.fetch(url)


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
        await ImageFetcher(max_bytes=1000, timeout_s=5).fetch(url)
    assert refused.value.code == "IMAGE_URL_REFUSED"


async def test_one_inner_address_among_public_ones_is_enough_to_refuse() -> None:
    async def mixed(_host: str, _port: int) -> list[str]:
        return ["8.8.8.8", "10.0.0.1"]

    with pytest.raises(PortraitRefused):
        await ImageFetcher(max_bytes=1000, resolve=mixed).fetch("http://example.org/")


async def test_a_machines_own_addresses_are_known() -> None:
    assert is_own(ip_address("127.0.0.1")) and is_own(ip_address("::1"))
    assert not is_own(ip_address("8.8.8.8")) and not is_own(ip_address("2606:4700:4700::1111"))
    assert not is_foreign(ip_address("10.0.0.1"))


@pytest.mark.parametrize("own_url", ["https://avatars.example.org/a", "https://other.example"])
async def test_this_servers_own_public_address_is_refused_by_name_and_by_number(own_url: str) -> None:
    async def one_machine(_host: str, _port: int) -> list[str]:
        return ["127.0.0.1"]

    fetcher = ImageFetcher(
        max_bytes=1000, ports=EVERY_PORT, own_url=own_url, resolve=one_machine, is_allowed=loopback_only
    )
    with serving() as (base, seen):
        with pytest.raises(PortraitRefused, match="own"):
            await fetcher.fetch(base.replace("example.org", "avatars.example.org") + "/image")
        assert seen == []


async def test_other_ports_need_a_setting() -> None:
    with serving() as (base, seen):
        for fetcher in (
            ImageFetcher(max_bytes=1000, resolve=to_loopback, is_allowed=loopback_only),
            ImageFetcher(max_bytes=1000, ports=frozenset((8443,)), resolve=to_loopback, is_allowed=loopback_only),
        ):
            with pytest.raises(PortraitRefused, match="port"):
                await fetcher.fetch(base + "/image")
        assert seen == []
        port = read_target(base).port
        chosen = ImageFetcher(max_bytes=1000, ports=frozenset((port,)), resolve=to_loopback, is_allowed=loopback_only)
        assert await chosen.fetch(base + "/image") == b"an image"
        with pytest.raises(PortraitRefused, match="port"):
            await chosen.fetch(base + "/away?http://example.org/")


async def test_an_address_that_does_not_answer_is_not_the_last() -> None:
    async def first_one_is_dead(_host: str, _port: int) -> list[str]:
        return ["127.0.0.2", "127.0.0.1"]

    with serving() as (base, _):
        fetcher = ImageFetcher(
            max_bytes=1000, ports=EVERY_PORT, resolve=first_one_is_dead, is_allowed=lambda address: True
        )
        assert await fetcher.fetch(base + "/image") == b"an image"


async def test_https_is_checked_against_the_name_that_was_asked_for(tmp_path: Path) -> None:
    for named, is_taken in (("127.0.0.1", True), ("127.0.0.9", False)):
        certificate, key = write_certificate(tmp_path, named)
        with serving(tls=(certificate, key)) as (base, _):
            fetcher = ImageFetcher(
                max_bytes=1000,
                ports=EVERY_PORT,
                resolve=to_loopback,
                is_allowed=loopback_only,
                certificates=str(certificate),
            )
            url = base.replace("http://example.org", "https://127.0.0.1") + "/image"
            if is_taken:
                assert await fetcher.fetch(url) == b"an image"
            else:
                with pytest.raises(PortraitRefused):
                    await fetcher.fetch(url)


@pytest.mark.parametrize(
    ("url", "host", "header", "asked"),
    [
        ("http://example.org", "example.org", "example.org", "/"),
        ("HTTP://user:pass@Example.org:80/a b?c#d", "example.org", "example.org", "/a%20b?c"),
        ("https://exämple.org/ä", "xn--exmple-cua.org", "xn--exmple-cua.org", "/%C3%A4"),
        ("http://[2606:4700::1]:8080/?", "2606:4700::1", "[2606:4700::1]:8080", "/?"),
        ("http://0x7f.1/", "127.0.0.1", "127.0.0.1", "/"),
    ],
)
async def test_an_address_is_read_once(url: str, host: str, header: str, asked: str) -> None:
    target = read_target(url)
    assert (target.host, target.host_header, target.path_and_query) == (host, header, asked)
