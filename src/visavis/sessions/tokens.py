"""The two tokens of a session: the access token of its channel, and the JWT of its room."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from functools import lru_cache

import jwt
import msgspec

from visavis.errors import Unauthorized

_JWT_HEADER = jwt.encode({}, "k" * 32, algorithm="HS256").partition(".")[0].encode()


def new_access_token() -> str:
    """Return 256 random bits, URL-safe. The token is shown once; only its hash is stored."""
    return secrets.token_urlsafe(32)


def token_hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def matches_hash(token: str, stored_hash: str) -> bool:
    """Whether this is the token of the stored hash. Takes the same time either way."""
    return hmac.compare_digest(token_hash(token), stored_hash)


@lru_cache(maxsize=10_000)
def sign_room_token(secret: bytes, *, room_name: str, session_id: str, created_at_ms: int) -> str:
    """Return the HS256 JWT of one room. The same arguments always give the same token, so it need not be stored.

    It does not expire: the room closes with its session. PyJWT makes the same token, but its checks of header and key
    take longer than the signature, and a page of sessions has a hundred tokens.
    """
    claims = {"room": room_name, "sub": session_id, "iat": created_at_ms // 1000}
    signed = _JWT_HEADER + b"." + _base64url(msgspec.json.encode(claims))
    return (signed + b"." + _base64url(hmac.digest(secret, signed, "sha256"))).decode()


def _base64url(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def check_room_token(secret: bytes, *, room_name: str, token: str) -> None:
    """Raises `Unauthorized` unless this server has signed the token for this room."""
    try:
        claims = jwt.decode(token, secret, algorithms=["HS256"], options={"require": ["room"], "verify_iat": False})
    except (jwt.InvalidTokenError, ValueError):
        raise Unauthorized("Invalid room token") from None
    if claims["room"] != room_name:
        raise Unauthorized("Invalid room token", suggestion="Use the token that came with this room's url")
