"""Signs the addresses of private pictures. A signed address shows its picture without an API key until it expires.

Addresses of one hour are the same, so that browsers can keep the pictures: all of them expire one hour after its end.
"""

from __future__ import annotations

import base64
import hmac
import re
from functools import lru_cache

WINDOW_S = 3600  # the address of a picture changes this often
LEFT_S = 3600  # a new address is valid at least this long
_SIGNATURE_BYTES = 16  # of HMAC-SHA256: 128 bits

# The end of a signed address: avatar, name, expiry and signature.
_SIGNED = re.compile(rb"(avat_[0-9A-HJKMNP-TV-Z]{26})/([a-z]+\.jpg)\?e=([0-9]{1,12})&s=([A-Za-z0-9_-]{22})")


class PictureSigner:
    """Instants are unix time in seconds."""

    def __init__(self, secret: bytes) -> None:
        self._key = hmac.digest(secret, b"addresses of private pictures", "sha256")  # `secret` itself signs room tokens

    def query(self, avatar_id: str, name: str, *, now_s: int) -> str:
        """Return the query that signs the address of a picture: `e` is when it expires, `s` the signature."""
        expires_s = (now_s // WINDOW_S + 1) * WINDOW_S + LEFT_S
        return f"e={expires_s}&s={self._signature(avatar_id, name, expires_s)}"

    def renewed(self, text: bytes, *, now_s: int) -> bytes:
        """Return a text, such as a kept answer, with the addresses that we have signed in it signed anew."""

        def sign(found: re.Match[bytes]) -> bytes:
            avatar_id, name, e, s = (part.decode() for part in found.groups())
            if self.expiry(avatar_id, name, e=e, s=s) is None:
                return found[0]
            return f"{avatar_id}/{name}?{self.query(avatar_id, name, now_s=now_s)}".encode()

        return _SIGNED.sub(sign, text)

    def expiry(self, avatar_id: str, name: str, *, e: str, s: str) -> int | None:
        """Return when an address with this query expires, perhaps in the past; None if we have not signed it."""
        if not re.fullmatch("[1-9][0-9]{0,11}", e, re.ASCII):
            return None
        expires_s = int(e)
        given, expected = s.encode("utf-8", "surrogatepass"), self._signature(avatar_id, name, expires_s).encode()
        return expires_s if hmac.compare_digest(given, expected) else None

    def _signature(self, avatar_id: str, name: str, expires_s: int) -> str:
        return _sign(self._key, f"{avatar_id}/{name}?{expires_s}")


@lru_cache(maxsize=10_000)  # a page of a hundred sessions shows a few pictures again and again
def _sign(key: bytes, text: str) -> str:
    signed = hmac.digest(key, text.encode(), "sha256")
    return base64.urlsafe_b64encode(signed[:_SIGNATURE_BYTES]).rstrip(b"=").decode()
