"""Looks at what a server talks to: its database, its port, the addresses of this machine, and STUN and TURN servers."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket

import httpx

from visavis.doctor.finding import Finding, advise, good, problem
from visavis.errors import VisavisError
from visavis.machine.network import addresses_to_offer
from visavis.rooms.webrtc.media_ports import own_addresses
from visavis.rooms.webrtc.relay_trial import RelayFailed, try_server
from visavis.settings import Settings
from visavis.store.inspection import look_at

ANSWER_WITHIN_S = 3.0


async def check_database(settings: Settings) -> Finding:
    """Whether the database can be reached, and whether this version knows its schema."""
    try:
        return good("database", await look_at(settings.resolved_database_url))
    except VisavisError as error:
        return problem("database", error.message, error.suggestion or "See docs/howto/databases.md")


async def check_port(host: str, port: int, *, secure: bool = False) -> Finding:
    """Whether the server can listen. `secure`: with a certificate of its own."""
    shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family, socket.SOCK_STREAM) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host, port))
    except OSError as error:
        if error.errno == errno.EADDRINUSE and await _is_visavis(shown, secure=secure):
            return good("port", f"a Visavis server listens on {shown}")
        advice = "End what uses it, or choose another with --port" if error.errno == errno.EADDRINUSE else ""
        advice = advice or "Choose another with --host and --port; below 1024 only root may listen"
        return problem("port", f"{shown}: {error.strerror or error}", advice)
    return good("port", f"{shown} is free")


async def _is_visavis(address: str, *, secure: bool) -> bool:
    """Whether a server of ours answers. Its certificate is not asked: nothing is told to it."""
    try:
        async with httpx.AsyncClient(timeout=ANSWER_WITHIN_S, verify=False) as client:
            answer = await client.get(f"{'https' if secure else 'http'}://{address}/readyz")
            return "default_avatar" in answer.json()
    except (httpx.HTTPError, ValueError):
        return False


async def check_addresses(settings: Settings) -> Finding:
    """Which viewers reach this machine: the addresses that are given to them."""
    own = addresses_to_offer(own_addresses(), settings.media_network)
    return addresses_finding(
        own, settings.viewer_addresses, relayed=any(s.url.startswith("turn") for s in settings.ice_servers)
    )


def addresses_finding(own: list[str], named: tuple[str, ...], *, relayed: bool) -> Finding:
    """`named`: VISAVIS_VIEWER_ADDRESSES. `relayed`: there is a TURN server."""
    text = ", ".join([*own, *named]) or "none"
    if not own:
        return problem("addresses", text, "Connect the machine, or change VISAVIS_MEDIA_INTERFACES")
    if all(ipaddress.ip_address(one).is_loopback for one in own) and not (named or relayed):
        return advise("addresses", text, "Only viewers on this machine can watch: it has no network")
    if not any(ipaddress.ip_address(one).is_global for one in own) and not (named or relayed):
        return advise(
            "addresses",
            text,
            "Viewers outside this network need VISAVIS_VIEWER_ADDRESSES and open UDP ports, or a TURN server in "
            "VISAVIS_ICE_SERVERS",
        )
    return good("addresses", text)


async def check_ice_servers(settings: Settings) -> list[Finding]:
    """Whether each STUN and TURN server answers, and each TURN server relays."""
    found = []
    for server in settings.ice_servers:
        try:
            found.append(good("relay", f"{server.url} {await try_server(server, within_s=ANSWER_WITHIN_S)}"))
        except RelayFailed as failed:
            found.append(problem("relay", f"{server.url} {failed.what}", failed.advice))
        except OSError as error:
            text = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
            advice = "Check its name and port, and the firewalls between here and there"
            found.append(problem("relay", f"{server.url}: {text}", advice))
    return found
