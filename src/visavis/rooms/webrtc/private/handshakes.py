"""DTLS, for every connection of this process: one certificate for all, and handshakes that are repeated soon."""

from __future__ import annotations

import asyncio
import functools
import time
import weakref
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from aiortc import RTCCertificate, RTCDtlsTransport
from aiortc.rtcdtlstransport import SSL as DTLS  # type: ignore[attr-defined]


def share_certificate(*, suites: Sequence[str], valid_s: float) -> None:
    """Let all connections that begin within `valid_s` have one certificate with its settings: to make both takes a
    third of what a viewer's joining takes. `suites`: the cipher suites of the handshake, OpenSSL's names, in the order
    of preference.
    """
    generate, create = RTCCertificate.generateCertificate, RTCCertificate._create_ssl_context
    newest: tuple[float, RTCCertificate] | None = None
    made: weakref.WeakKeyDictionary[RTCCertificate, Any] = weakref.WeakKeyDictionary()

    def generate_certificate(_: type[RTCCertificate]) -> RTCCertificate:
        nonlocal newest
        now_s = time.monotonic()
        if newest is None or now_s >= newest[0] + valid_s:
            newest = now_s, generate()
        return newest[1]

    @functools.wraps(create)
    def create_ssl_context(certificate: RTCCertificate, *args: Any, **named: Any) -> Any:
        context = made.get(certificate)
        if context is None:
            context = made[certificate] = create(certificate, *args, **named)
            context.set_cipher_list(":".join(suites).encode())
            context.set_session_cache_mode(DTLS.SESS_CACHE_OFF)  # otherwise it keeps every handshake
        return context

    RTCCertificate.generateCertificate = classmethod(generate_certificate)  # type: ignore[method-assign,assignment]
    RTCCertificate._create_ssl_context = create_ssl_context  # type: ignore[method-assign,assignment]
    RTCCertificate.getFingerprints = functools.lru_cache(4)(RTCCertificate.getFingerprints)  # type: ignore[method-assign]


class _Flight:
    """The last datagram of a handshake: sent again until another one takes its place. The other side drops what it gets
    twice (RFC 6347, section 4.1.2.6).
    """

    def __init__(self, send: Callable[[bytes], Coroutine[Any, Any, None]], after_s: Sequence[float]) -> None:
        self._send, self._after_s = send, after_s
        self._data = b""
        self._sent = asyncio.Event()

    async def send(self, data: bytes) -> None:
        self._data = data
        self._sent.set()
        await self._send(data)

    async def repeat(self) -> None:
        while True:
            await self._sent.wait()
            self._sent.clear()
            for wait_s in self._after_s:
                try:
                    async with asyncio.timeout(wait_s):  # wait_for of Python 3.11 may lose a cancellation
                        await self._sent.wait()
                    break
                except TimeoutError:
                    try:
                        await self._send(self._data)
                    except ConnectionError:
                        return


def repeat_handshakes(after_s: Sequence[float]) -> None:
    """Repeat the flights of a DTLS handshake, `after_s` after each other. OpenSSL does so after 1 s, and cannot be told
    to do so earlier.
    """
    handshake = RTCDtlsTransport._do_handshake

    @functools.wraps(handshake)
    async def do_handshake(transport: RTCDtlsTransport) -> None:
        ice = transport.transport
        send = ice._send
        flight = _Flight(send, after_s)
        ice._send = flight.send
        repeating = asyncio.create_task(flight.repeat())
        try:
            await handshake(transport)
        finally:
            ice._send = send
            repeating.cancel()
            await asyncio.wait([repeating])

    RTCDtlsTransport._do_handshake = do_handshake  # type: ignore[method-assign,assignment]
