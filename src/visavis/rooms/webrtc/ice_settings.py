"""What is changed in ICE, for all connections of the process that calls it.

Three of aioice's settings suit a peer on the internet rather than a server: it leaves out loopback addresses even where
there are no others; it takes 30 s to notice a peer that is gone; and it waits 5 s for an unreachable STUN server before
anyone gets an answer.
"""

from __future__ import annotations

import functools

from visavis.rooms.webrtc import private_names

CONSENT_INTERVAL_S = 1  # a peer is asked this often whether it is still there (RFC 7675 says 5) ...
CONSENT_FAILURES = 4  # ... and is gone after so many unanswered, about 6 s with their half second each
GATHER_TIMEOUT_S = 1  # for STUN and TURN servers


@functools.cache
def apply_ice_settings() -> None:
    """Apply the changes; idempotent."""
    private_names.set_consent_checks(interval_s=CONSENT_INTERVAL_S, failures=CONSENT_FAILURES)
    private_names.limit_gathering_time(GATHER_TIMEOUT_S)
    private_names.replace_host_addresses(_with_loopback_at_last)


def _with_loopback_at_last(outward: private_names.HostAddresses) -> private_names.HostAddresses:
    @functools.wraps(outward)
    def host_addresses(use_ipv4: bool, use_ipv6: bool) -> list[str]:
        addresses = [a for a in outward(use_ipv4, use_ipv6) if not a.startswith("169.254.")]
        # A machine with nothing but loopback can still be watched from itself.
        return addresses or (["127.0.0.1"] if use_ipv4 else ["::1"])

    return host_addresses
