"""What the embedded room changes in aioice, all in one place and only in the process that calls it.

Three of its constants suit a peer on the internet rather than a server: it leaves out loopback addresses even where
there are no others; it takes 30 s to notice a viewer that is gone; and it waits 5 s for an unreachable STUN server
before anyone gets an answer.
"""

from __future__ import annotations

import functools

import aioice.ice
from aiortc import RTCPeerConnection

CONSENT_INTERVAL_S = 1  # a viewer is asked this often whether it is still there (RFC 7675 says 5) ...
CONSENT_FAILURES = 4  # ... and is gone after so many unanswered, about 6 s with their half second each
GATHER_TIMEOUT_S = 1  # for STUN and TURN servers


def settle_ice() -> None:
    """Apply the process-wide changes; idempotent."""
    if getattr(aioice.ice.get_host_addresses, "includes_loopback", False):
        return
    aioice.ice.CONSENT_INTERVAL = CONSENT_INTERVAL_S
    aioice.ice.CONSENT_FAILURES = CONSENT_FAILURES
    outward = aioice.ice.get_host_addresses

    @functools.wraps(outward)
    def get_host_addresses(use_ipv4: bool, use_ipv6: bool) -> list[str]:
        addresses = [a for a in outward(use_ipv4, use_ipv6) if not a.startswith("169.254.")]
        # A machine with nothing but loopback can still be watched from itself.
        return addresses or (["127.0.0.1"] if use_ipv4 else ["::1"])

    get_host_addresses.includes_loopback = True  # type: ignore[attr-defined]
    aioice.ice.get_host_addresses = get_host_addresses


def hurry_gathering(connection: RTCPeerConnection) -> None:
    """Let this connection's STUN and TURN servers have one second, after which its answer goes without them."""
    for transceiver in connection.getTransceivers():
        ice = transceiver.receiver.transport.transport.iceGatherer._connection
        ice.get_component_candidates = functools.partial(ice.get_component_candidates, timeout=GATHER_TIMEOUT_S)  # type: ignore[method-assign]
