"""Web servers that do not send an image but work: bombs, floods of small pieces, answers without an end.

Whoever may create an avatar may have the server fetch from such an address.
"""

from __future__ import annotations

import gzip
import json
import socket
import subprocess
import sys
import threading
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import anyio
import pytest
from anyio.lowlevel import checkpoint

from tests.attacks.scale import SCALE
from visavis.avatars.fetch import ImageFetcher
from visavis.errors import PortraitRefused

pytestmark = pytest.mark.anyio

MAX_BYTES = 10_000_000
MEMORY_BYTES = 3 * MAX_BYTES  # the body, a copy of it, and as much again
HOLD_S = 0.15

OK, CHUNKED = b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def bomb() -> bytes:
    """A small body that is large once it is decompressed three times."""
    squeeze = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    packed = b"".join(squeeze.compress(bytes(1_000_000)) for _ in range(100 * SCALE)) + squeeze.flush()
    packed = gzip.compress(gzip.compress(packed))
    head = OK + b"Content-Encoding: gzip, gzip, gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
    return head + packed


@dataclass(frozen=True, slots=True, kw_only=True)
class Hostile:
    """A web server that sends `first` and then `again` without an end; None: it waits."""

    first: Callable[[], bytes]
    again: bytes | None


SERVERS = {
    "a bomb": Hostile(first=bomb, again=None),
    "interim answers": Hostile(first=lambda: b"", again=b"HTTP/1.1 100 C\r\n\r\n"),
    "headers": Hostile(first=lambda: OK, again=b"a:b\r\n"),
    "one header": Hostile(first=lambda: OK + b"a: ", again=b"b" * 100),
    "the smallest chunks": Hostile(first=lambda: CHUNKED, again=b"1\r\nx\r\n"),
    "one chunk's size": Hostile(first=lambda: CHUNKED, again=b"0"),
    "trailers": Hostile(first=lambda: CHUNKED + b"0\r\n", again=b"a:b\r\n"),
    "a large body": Hostile(first=lambda: OK + b"\r\n", again=b"x" * 1000),
}


@contextmanager
def serving(hostile: Hostile) -> Iterator[str]:
    """Serve one connection, and yield the address."""
    first = hostile.first()
    listener = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            try:
                connection.sendall(first)
                while hostile.again is not None:
                    connection.sendall(hostile.again * 1000)
            except OSError:
                pass
            over.wait()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://example.org:{listener.getsockname()[1]}/"
    finally:
        over.set()
        thread.join()
        listener.close()


async def this_machine(_host: str, _port: int) -> list[str]:
    return ["127.0.0.1"]


async def refuse(url: str) -> None:
    fetcher = ImageFetcher(
        max_bytes=MAX_BYTES,
        ports=frozenset(range(1, 65536)),
        resolve=this_machine,
        is_allowed=lambda address: True,
    )
    with pytest.raises(PortraitRefused):
        await fetcher.fetch(url)


@pytest.fixture(scope="module")
def peaks() -> dict[str, int]:
    """The most bytes that the fetching from each server has held. In a process of its own: the interpreter crashed
    where other threads allocated while tracemalloc stopped.
    """
    measured = subprocess.run(
        [sys.executable, "-m", "tests.attacks.test_fetching"], capture_output=True, timeout=90, check=True, text=True
    )
    peaks = json.loads(measured.stdout)
    assert isinstance(peaks, dict)
    return peaks


@pytest.mark.parametrize("kind", SERVERS)
def test_it_takes_little_memory(kind: str, peaks: dict[str, int]) -> None:
    assert 0 < peaks[kind] < MEMORY_BYTES


def peak_of(kind: str) -> int:
    with serving(SERVERS[kind]) as url:
        tracemalloc.start()
        anyio.run(refuse, url)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return peak


@pytest.mark.parametrize("kind", SERVERS)
async def test_it_never_holds_the_event_loop(kind: str) -> None:
    """Measured in processor time, which does not depend on what else the machine does."""
    longest_s = 0.0

    async def watch() -> None:
        nonlocal longest_s
        last_s = time.thread_time()
        while True:
            await checkpoint()
            now_s = time.thread_time()
            longest_s, last_s = max(longest_s, now_s - last_s), now_s

    with serving(SERVERS[kind]) as url:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watch)
            await refuse(url)
            tasks.cancel_scope.cancel()
    assert longest_s < HOLD_S


if __name__ == "__main__":
    print(json.dumps({kind: peak_of(kind) for kind in SERVERS}))
