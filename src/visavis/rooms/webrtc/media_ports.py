"""The UDP port of a stage, which all of its viewers share.

aioice opens a socket for each connection and address. Here a stage opens one for each of its addresses when it starts,
all with the same port. Each connection gets a *seat* at each socket, which aioice takes for a socket of its own. What
arrives goes to its seat:

    a STUN request     by the user name in it, which the connection has given out (RFC 8445, section 7.3)
    a STUN response    by its transaction
    all else           by the sender's address: to the connection that last authenticated a STUN message from there

So a viewer whose address changes, or who gets the address of one that has left, is served as soon as its next check.
What is not authenticated moves no address: otherwise a viewer could name the address of another one as its own.
"""

from __future__ import annotations

import asyncio
import errno
import functools
import socket
import struct
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import aioice.stun
import ifaddr
import structlog
from aioice import Candidate
from aioice.candidate import candidate_foundation, candidate_priority
from aioice.ice import StunProtocol

from visavis.errors import AddressUnavailable
from visavis.machine.network import MediaNetwork, OwnAddress, addresses_to_offer
from visavis.rooms.names import ReachableAddresses
from visavis.rooms.webrtc.allowance import Allowance
from visavis.rooms.webrtc.ice_settings import MAX_DATAGRAM_BYTES
from visavis.rooms.webrtc.private import datagrams, gathering
from visavis.rooms.webrtc.private.stun import is_request, known_check_answer

Peer = tuple[str, int]

# What is asked of the kernel for a socket. It grants as much as its limits (net.core.rmem_max and wmem_max) allow.
BUFFER_BYTES = 4 * 1024 * 1024
# With more than this waiting for the kernel, packets are dropped: they would arrive too late.
MAX_UNSENT_BYTES = 1024 * 1024
MAX_PEERS_PER_SEAT = 64  # addresses of one viewer; with more, the oldest is forgotten
CHECKS_PER_S, CHECKS_AT_ONCE = 200, 400  # STUN messages of one viewer that are read; libnice sends 50 a second
MAX_ATTRIBUTES = 16  # of a STUN request, among which its user name is looked for; a browser's is the first of six

STUN_TIMEOUT_S = 1.0
ADDRESSES_VALID_S = 1.0  # viewers that join together read the machine's addresses once
USER_NAME_CHARS = 8

_LAST_STUN_BYTE = 3  # the first byte of DTLS and RTP is greater (RFC 7983, section 7)
_STUN_HEADER = struct.Struct("!HHI12s")
_REQUEST, _CLASS_BITS = 0x0000, 0x0110
_USERNAME = 0x0006
_SO_MEMINFO, _MEMINFO_DROPS = 55, 8  # Linux, sock_diag.h

log = structlog.get_logger("visavis.rooms")


def own_addresses() -> list[OwnAddress]:
    """Return this machine's addresses. Those of IPv6 that need a zone are left out."""
    found = []
    for adapter in ifaddr.get_adapters():
        for ip in adapter.ips:
            if isinstance(ip.ip, str):
                found.append(OwnAddress(interface=adapter.nice_name, address=ip.ip))
            elif ip.ip[2] == 0:
                found.append(OwnAddress(interface=adapter.nice_name, address=ip.ip[0]))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketFigures:
    """`receive_buffer_bytes`, `send_buffer_bytes`: what the kernel granted to the socket with the least. `dropped`:
    datagrams that the kernel dropped because the stage did not read them in time. `unsent`: packets that were dropped
    because the kernel did not take them in time. `refused`: datagrams that belong to no viewer, are too long, or were
    more checks than a viewer may send.
    """

    port: int
    receive_buffer_bytes: int
    send_buffer_bytes: int
    dropped: int
    unsent: int
    refused: int


class _Seat(StunProtocol):
    """A connection's place at a shared socket. aioice uses it as a socket of its own."""

    def __init__(self, connection: Any, shared: _SharedSocket) -> None:
        super().__init__(connection)
        self.shared = shared
        self.user_name: str = connection.local_username
        self.peers: dict[Peer, None] = {}  # addresses of its viewer, oldest first
        self.transactions = _Transactions(shared, self)
        self.checks = Allowance(per_s=CHECKS_PER_S, burst=CHECKS_AT_ONCE)
        self.connection_made(_SeatTransport(self))

    def datagram_received(self, data: bytes | str, addr: tuple[Any, ...]) -> None:
        """aioice's hook. Checks that a viewer repeats while it watches are answered here: there are many of them."""
        assert isinstance(data, bytes)
        answer = known_check_answer(self, data, (addr[0], addr[1])) if is_request(data) else None
        if answer is None:
            super().datagram_received(data, addr)
        else:
            self.shared.learn(self, (addr[0], addr[1]))
            self.shared.send(answer, addr)

    def send_stun(self, message: aioice.stun.Message, addr: tuple[str, int]) -> None:
        """aioice's hook. It answers a request by a success if the request was authenticated."""
        if message.message_class == aioice.stun.Class.RESPONSE:
            self.shared.learn(self, addr)
        super().send_stun(message, addr)


class _Transactions(dict[bytes, Any]):
    """The STUN requests of a seat that have no response yet. The shared socket finds a seat by them."""

    def __init__(self, shared: _SharedSocket, seat: _Seat) -> None:
        super().__init__()
        self._shared, self._seat = shared, seat

    def __setitem__(self, number: bytes, transaction: Any) -> None:
        super().__setitem__(number, transaction)
        self._shared.by_transaction[number] = self._seat

    def __delitem__(self, number: bytes) -> None:
        super().__delitem__(number)
        self._shared.by_transaction.pop(number, None)


class _SeatTransport(asyncio.DatagramTransport):
    """The transport of a seat: sends through the shared socket, and leaves it when closed."""

    def __init__(self, seat: _Seat) -> None:
        super().__init__()
        self._seat = seat
        self._closing = False

    def sendto(self, data: Any, addr: Any = None) -> None:
        self._seat.shared.send(data, addr)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._seat.shared.transport.get_extra_info(name, default)

    def get_write_buffer_size(self) -> int:
        return self._seat.shared.waiting_bytes

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self._seat.shared.leave(self._seat)
            asyncio.get_running_loop().call_soon(self._seat.connection_lost, None)

    def abort(self) -> None:
        self.close()


class _SharedSocket(asyncio.DatagramProtocol):
    """A socket at one address, and the seats of the connections that use it."""

    transport: Any  # asyncio's own, which `asyncio.DatagramTransport` does not describe; set when it is open

    def __init__(self, address: str, port: int) -> None:
        self.address, self.port = address, port
        self.by_transaction: dict[bytes, _Seat] = {}
        self.unsent = self.refused = 0
        self._by_user_name: dict[str, _Seat] = {}
        self._by_peer: dict[Peer, _Seat] = {}

    @classmethod
    async def open(cls, address: str, port: int) -> _SharedSocket:
        """Raises OSError."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        raw = socket.socket(family, socket.SOCK_DGRAM)
        try:
            raw.setblocking(False)
            for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
                raw.setsockopt(socket.SOL_SOCKET, option, BUFFER_BYTES)
            raw.bind((address, port))
            _, shared = await asyncio.get_running_loop().create_datagram_endpoint(lambda: cls(address, port), sock=raw)
        except BaseException:
            raw.close()
            raise
        return shared

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    @property
    def raw(self) -> socket.socket:
        found: socket.socket = self.transport.get_extra_info("socket")
        return found

    @property
    def waiting_bytes(self) -> int:
        """What the kernel has not taken yet."""
        waiting: int = self.transport.get_write_buffer_size()
        return waiting

    @property
    def is_used(self) -> bool:
        return bool(self._by_user_name)

    def seat(self, connection: Any, component: int) -> _Seat:
        """Give a connection a seat, and its host candidate for it."""
        seat = _Seat(connection, self)
        seat.local_candidate = Candidate(
            foundation=candidate_foundation("host", "udp", self.address),
            component=component,
            transport="udp",
            priority=candidate_priority(component, "host"),
            host=self.address,
            port=self.port,
            type="host",
        )
        self._by_user_name[seat.user_name] = seat
        return seat

    def rename(self, seat: _Seat, user_name: str) -> None:
        """Find the seat by another user name from now on, and no longer by the one before."""
        if self._by_user_name.get(seat.user_name) is seat:
            del self._by_user_name[seat.user_name]
        seat.user_name = user_name
        self._by_user_name[user_name] = seat

    def leave(self, seat: _Seat) -> None:
        if self._by_user_name.get(seat.user_name) is seat:
            del self._by_user_name[seat.user_name]
        for peer in list(seat.peers):
            self._forget(seat, peer)
        for number in list(seat.transactions):
            self.by_transaction.pop(number, None)

    def send(self, data: Any, address: Any) -> None:
        if self.waiting_bytes > MAX_UNSENT_BYTES:
            self.unsent += 1
            return
        self.transport.sendto(data, address)

    def datagram_received(self, data: bytes, address: tuple[Any, ...]) -> None:
        peer: Peer = (address[0], address[1])
        seat = self._seat_of(data, peer) if 0 < len(data) <= MAX_DATAGRAM_BYTES else None
        if seat is None:
            self.refused += 1
        else:
            seat.datagram_received(data, peer)

    def _seat_of(self, data: bytes, peer: Peer) -> _Seat | None:
        """Return the seat that a datagram is for, None if nobody reads it."""
        if data[0] > _LAST_STUN_BYTE:
            return self._by_peer.get(peer)
        if len(data) < _STUN_HEADER.size:
            return None
        kind, _, _, number = _STUN_HEADER.unpack_from(data)
        is_request = kind & _CLASS_BITS == _REQUEST
        seat = self._by_user_name.get(_user_name(data) or "") if is_request else self.by_transaction.get(number)
        if seat is None or not seat.checks.take(time.monotonic()):
            return None
        if not is_request and self._by_peer.get(peer) is not seat and datagrams.is_authentic(seat, data):
            self.learn(seat, peer)  # a viewer that only answers (ICE lite)
        return seat

    def learn(self, seat: _Seat, peer: Peer) -> None:
        """What comes from this address is for this seat from now on."""
        if self._by_peer.get(peer) is seat:
            return
        self._by_peer[peer] = seat
        seat.peers[peer] = None
        if len(seat.peers) > MAX_PEERS_PER_SEAT:
            self._forget(seat, next(iter(seat.peers)))

    def _forget(self, seat: _Seat, peer: Peer) -> None:
        del seat.peers[peer]
        if self._by_peer.get(peer) is seat:
            del self._by_peer[peer]

    def close(self) -> None:
        self.transport.close()


def _user_name(request: bytes) -> str | None:
    """Return the user name that we have given out, from a STUN request: the part before the colon (RFC 8445, section
    7.2.2).
    """
    at = _STUN_HEADER.size
    for _ in range(MAX_ATTRIBUTES):
        if at + 4 > len(request):
            break
        kind, length = struct.unpack_from("!HH", request, at)
        if kind == _USERNAME:
            return request[at + 4 : at + 4 + length].partition(b":")[0].decode("ascii", "replace")
        at += 4 + length + -length % 4
    return None


class MediaPorts:
    """The port of this stage. `own`: finds the machine's addresses."""

    def __init__(self, network: MediaNetwork, own: Callable[[], Iterable[OwnAddress]] = own_addresses) -> None:
        self._network, self._own = network, own
        self._reachable = ReachableAddresses(network.addresses)
        self._sockets: dict[str, _SharedSocket] = {}  # by address
        self._refused: set[str] = set()  # addresses at which the port could not be opened
        self._read_again_s = 0.0  # when the machine's addresses are read again
        self.port = 0  # set by `open`

    async def open(self) -> None:
        """Open the first port of the range that is free at all addresses. Raises `AddressUnavailable`."""
        addresses = addresses_to_offer(self._own(), self._network)
        taken: list[str] = []
        for number in self._network.ports.numbers:
            try:
                await self._open_at(addresses, number)
            except OSError as error:
                taken.append(f"{number} ({error.strerror or error})")
                self.close()
                continue
            self.port = number
            figures = self.figures()
            log.info(
                "media_port_opened",
                port=number,
                addresses=addresses,
                receive_buffer_bytes=figures.receive_buffer_bytes,
                send_buffer_bytes=figures.send_buffer_bytes,
            )
            return
        shown = ", ".join(taken[:4]) + (f" and {len(taken) - 4} more" if len(taken) > 4 else "")
        raise AddressUnavailable(f"No UDP port for media is free: {shown}", suggestion="Set VISAVIS_MEDIA_PORTS")

    async def _open_at(self, addresses: Iterable[str], number: int) -> None:
        """Raises OSError if the port is taken at one of the addresses. Addresses that cannot be used are left out."""
        for address in addresses:
            try:
                self._sockets[address] = await _SharedSocket.open(address, number)
            except OSError as error:
                if error.errno in (errno.EADDRINUSE, errno.EACCES):
                    raise
                self._refuse(address, number, error)

    def _refuse(self, address: str, number: int, error: OSError) -> None:
        self._refused.add(address)
        log.warning("media_port_refused", address=address, port=number, problem=error.strerror or str(error))

    async def refresh(self) -> None:
        """Follow the machine's addresses: open the port at new ones, and close it at those that are gone."""
        self._read_again_s = asyncio.get_running_loop().time() + ADDRESSES_VALID_S
        addresses = addresses_to_offer(self._own(), self._network)
        for address in [one for one in self._sockets if one not in addresses]:
            if not self._sockets[address].is_used:
                self._sockets.pop(address).close()
        for address in addresses:
            if address not in self._sockets and address not in self._refused:
                try:
                    self._sockets[address] = await _SharedSocket.open(address, self.port)
                except OSError as error:
                    self._refuse(address, self.port, error)

    async def gather(self, connection: Any, component: int) -> list[Candidate]:
        """Give a connection its seats; return the candidates of this machine: its own addresses, and those at which
        viewers reach it otherwise.
        """
        if asyncio.get_running_loop().time() >= self._read_again_s:
            await self.refresh()
        reachable = await self._reachable.now()
        seats = [
            shared.seat(connection, component)
            for shared in self._sockets.values()
            if gathering.uses_family(connection, 6 if ":" in shared.address else 4)
        ]
        gathering.add_protocols(connection, seats)
        candidates = [seat.local_candidate for seat in seats]
        own = {candidate.host for candidate in candidates}
        for address in reachable:
            base = next((one for one in candidates if (":" in one.host) == (":" in address)), None)
            if base is not None and address not in own:
                candidates.append(_reached_at(address, base))
        return candidates

    def figures(self) -> SocketFigures:
        """Return the figures of the port now."""
        sockets = self._sockets.values()
        return SocketFigures(
            port=self.port,
            receive_buffer_bytes=min((_granted(one.raw, socket.SO_RCVBUF) for one in sockets), default=0),
            send_buffer_bytes=min((_granted(one.raw, socket.SO_SNDBUF) for one in sockets), default=0),
            dropped=sum(_kernel_drops(one.raw) for one in sockets),
            unsent=sum(one.unsent for one in sockets),
            refused=sum(one.refused for one in sockets),
        )

    def close(self) -> None:
        for shared in self._sockets.values():
            shared.close()
        self._sockets.clear()

    async def aclose(self) -> None:
        self.close()
        await self._reachable.aclose()


def _reached_at(address: str, base: Candidate) -> Candidate:
    """Return a candidate for an address that leads to `base`, like the one that a STUN server tells."""
    return Candidate(
        foundation=candidate_foundation("srflx", "udp", address),
        component=base.component,
        transport="udp",
        priority=candidate_priority(base.component, "srflx"),
        host=address,
        port=base.port,
        type="srflx",
        related_address=base.host,
        related_port=base.port,
    )


def _granted(raw: socket.socket, option: int) -> int:
    """Return the size of a buffer. Linux doubles what it is asked for, and uses the half for itself (socket(7))."""
    return raw.getsockopt(socket.SOL_SOCKET, option) // 2


def _kernel_drops(raw: socket.socket) -> int:
    with suppress(OSError, struct.error):
        counters = raw.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, 4 * (_MEMINFO_DROPS + 1))
        drops: int = struct.unpack(f"={_MEMINFO_DROPS + 1}I", counters)[_MEMINFO_DROPS]
        return drops
    return 0


_ports: MediaPorts | None = None  # of this process


async def open_media_ports(network: MediaNetwork) -> MediaPorts:
    """Open the port of this process; all connections that are made from now on use it. Raises `AddressUnavailable`."""
    global _ports  # noqa: PLW0603  # aioice has one function for all connections of a process
    ports = MediaPorts(network)
    await ports.open()
    _ports = ports
    _replace_gathering()
    return ports


@functools.cache
def _replace_gathering() -> None:
    gathering.replace_host_gathering(_gather, stun_timeout_s=STUN_TIMEOUT_S)
    gathering.lengthen_user_names(USER_NAME_CHARS)
    gathering.replace_host_addresses(_unless_open)


def _unless_open(get_addresses: gathering.HostAddresses) -> gathering.HostAddresses:
    """aioice reads the machine's addresses for each connection. The port does that itself."""
    return lambda use_ipv4, use_ipv6: get_addresses(use_ipv4, use_ipv6) if _ports is None else []


async def close_media_ports() -> None:
    """Close the port of this process. Connections that are made from now on open sockets of their own."""
    global _ports
    ports, _ports = _ports, None
    if ports is not None:
        await ports.aclose()


def rename_seats(protocols: Iterable[StunProtocol], user_name: str) -> None:
    """Tell shared sockets the new user name of a connection. Sockets of its own need no name."""
    for protocol in protocols:
        if isinstance(protocol, _Seat):
            protocol.shared.rename(protocol, user_name)


def media_figures() -> SocketFigures | None:
    """Return the figures of the port of this process, None without one."""
    return None if _ports is None else _ports.figures()


async def _gather(connection: Any, component: int) -> list[Candidate] | None:
    """Return the host candidates of a connection, None if it opens sockets of its own."""
    return None if _ports is None else await _ports.gather(connection, component)
