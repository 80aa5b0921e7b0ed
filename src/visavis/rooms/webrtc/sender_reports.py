"""Sender reports (RTCP SR, RFC 3550, section 6.4.1). They give the time when media is shown or played, not when a
packet was sent, so that sound and picture have one time base, however long a packet has waited. Pure.
"""

from __future__ import annotations

import struct

NTP_EPOCH_OFFSET_S = 2_208_988_800  # from 1900 to 1970 (RFC 5905)
_NS = 1_000_000_000
_SR, _SDES, _BYE, _CNAME = 200, 202, 203, 1


def ntp_timestamp(unix_ns: int) -> int:
    """Return a unix time as an NTP timestamp (RFC 5905): seconds since 1900, 32.32 fixed point."""
    seconds, rest_ns = divmod(unix_ns + NTP_EPOCH_OFFSET_S * _NS, _NS)
    return (seconds << 32) | ((rest_ns << 32) // _NS)


def unix_time_s(ntp: int) -> float:
    return ntp / 2**32 - NTP_EPOCH_OFFSET_S


def sender_report(*, ssrc: int, ntp: int, rtp_time: int, packets: int, size_bytes: int, name: str) -> bytes:
    """Return a report and the name of its source (SDES CNAME), as one compound packet. `packets`, `size_bytes`: how
    many were sent, and the bytes of their payload. `name`: at most 255 bytes.
    """
    counts = packets & 0xFFFFFFFF, size_bytes & 0xFFFFFFFF
    report = struct.pack("!BBHLQLLL", 0x80, _SR, 6, ssrc, ntp, rtp_time & 0xFFFFFFFF, *counts)
    chunk = struct.pack("!LBB", ssrc, _CNAME, len(name.encode())) + name.encode()
    chunk += bytes(4 - len(chunk) % 4)  # at least one zero ends the list of items
    return report + struct.pack("!BBH", 0x81, _SDES, len(chunk) // 4) + chunk


def goodbye(ssrc: int) -> bytes:
    """Return a packet that ends a stream (BYE)."""
    return struct.pack("!BBHL", 0x81, _BYE, 1, ssrc)
