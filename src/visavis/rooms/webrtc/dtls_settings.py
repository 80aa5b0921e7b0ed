"""What is changed in DTLS, for all connections of the process that calls it.

aiortc offers only the cipher suites of ECDSA certificates. GStreamer's certificate is RSA, and so is a browser's whose
page asks for one: such a viewer answers the handshake with "no shared cipher".
"""

from __future__ import annotations

import functools

from visavis.rooms.webrtc import private_names

# Forward secrecy and authenticated encryption alone. The first is the suite that every WebRTC peer has (RFC 8827,
# section 6.5); ours comes first where both could do, for our own certificate is ECDSA.
CIPHER_SUITES = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
)


@functools.cache
def apply_dtls_settings() -> None:
    """Apply the changes; idempotent."""
    private_names.set_cipher_suites(CIPHER_SUITES)
