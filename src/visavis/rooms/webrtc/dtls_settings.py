"""Changes aiortc's DTLS settings, for all connections of this process.

By default aiortc offers only cipher suites for ECDSA certificates. A viewer with an RSA certificate, such as GStreamer
or a browser whose page asks for RSA, would fail the handshake with "no shared cipher". OpenSSL repeats a lost flight of
the handshake after 1 s. And each connection would make a certificate of its own.
"""

from __future__ import annotations

import functools

from visavis.rooms.webrtc.private import handshakes, receiving

# Only suites with forward secrecy and authenticated encryption. Every WebRTC peer supports the first one (RFC 8827,
# section 6.5). Of each pair ECDSA comes first, because our own certificate is ECDSA.
CIPHER_SUITES = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
)
# After these times, one after the other, a flight without an answer is repeated. Then OpenSSL repeats it, too.
REPEAT_AFTER_S = (0.1, 0.2, 0.4)


# aiortc's certificates are valid for 30 days. They prove nothing: each connection names the fingerprint of its own.
CERTIFICATE_USED_S = 24 * 3600.0


@functools.cache
def apply_dtls_settings() -> None:
    """Apply the changes; idempotent."""
    handshakes.share_certificate(suites=CIPHER_SUITES, valid_s=CERTIFICATE_USED_S)
    receiving.delay_bit_rate_estimators()
    handshakes.repeat_handshakes(REPEAT_AFTER_S)
