"""Changes aioice's ICE settings, for all connections of this process.

Six of its defaults do not suit a server. It leaves out loopback addresses even if the machine has no others. It takes
30 s to notice that a peer has disappeared, and loses every peer with a round trip of more than half a second. It
repeats a lost check after half a second. It looks only every 20 ms whether a path was chosen. And it waits 5 s for an
unreachable STUN server, which delays every answer. Besides, it takes whatever anybody sends, without a bound.
"""

from __future__ import annotations

import functools

from visavis.rooms.webrtc.private import checks, consent, datagrams, gathering

CONSENT_INTERVAL_S = 1.0  # between two consent checks of a peer that has not answered yet ...
ANSWERED_INTERVAL_S = 2.0  # ... or has (Chromium: 2.5; RFC 7675 recommends 5). It ...
CONSENT_EXPIRES_S = 6.0  # ... is gone if it has answered none for so long. One may be on its way all that time
CHECK_PACE_S = 0.02  # between the starts of two checks (RFC 8445 recommends 50 ms)
CHECK_AGAIN_S = 0.1  # after which a check without an answer is repeated: then after 0.2 s, 0.4 s, ..., 7 times in all
GATHER_TIMEOUT_S = 1  # for STUN and TURN servers ...
TURN_WITHIN_S = 4.0  # ... except the TURN server of somebody else's room: over TLS it needs up to five round trips
MAX_ADDRESSES = 32  # of one peer: at most 12 come from its offer; a NAT that forgets its bindings adds new ones
MAX_UNREAD_DATAGRAMS = 1024  # a keyframe of a large picture is 200
MAX_DATAGRAM_BYTES = 1500  # a usual MTU; aiortc ends a connection that gets a longer one


@functools.cache
def apply_ice_settings() -> None:
    """Apply the changes; idempotent."""
    consent.replace_consent_checks(
        interval_s=CONSENT_INTERVAL_S, answered_interval_s=ANSWERED_INTERVAL_S, expires_s=CONSENT_EXPIRES_S
    )
    checks.wait_for_checks(pace_s=CHECK_PACE_S)
    checks.set_first_repetition(CHECK_AGAIN_S)
    checks.let_connections_close()
    gathering.limit_gathering_time(GATHER_TIMEOUT_S)
    checks.limit_addresses(MAX_ADDRESSES)
    datagrams.refuse_strangers()
    datagrams.limit_unread(datagrams=MAX_UNREAD_DATAGRAMS, size_bytes=MAX_DATAGRAM_BYTES)
    gathering.replace_host_addresses(_with_loopback_fallback)


def _with_loopback_fallback(get_addresses: gathering.HostAddresses) -> gathering.HostAddresses:
    @functools.wraps(get_addresses)
    def host_addresses(use_ipv4: bool, use_ipv6: bool) -> list[str]:
        addresses = [a for a in get_addresses(use_ipv4, use_ipv6) if not a.startswith("169.254.")]
        # On a machine with loopback only, viewers on the same machine can still connect.
        return addresses or (["127.0.0.1"] if use_ipv4 else ["::1"])

    return host_addresses
