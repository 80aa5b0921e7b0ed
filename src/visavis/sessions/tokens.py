"""The two secrets of a session: the token that opens its channel, and the JWT that opens its room."""

from __future__ import annotations

import hashlib
import hmac
import secrets

import jwt

from visavis.errors import Unauthorized


def new_access_token() -> str:
    """256 bits of chance, URL-safe. Shown once; only its hash is kept."""
    return secrets.token_urlsafe(32)


def token_hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def opens(token: str, kept_hash: str) -> bool:
    """Whether the token is the one that was hashed; takes the same time either way."""
    return hmac.compare_digest(token_hash(token), kept_hash)


def sign_room_token(secret: bytes, *, room_name: str, session_id: str, created_at_ms: int) -> str:
    """Return the HS256 JWT of one room. The same room always gives the same token, so it need not be kept.

    It has no expiry of its own: the room closes with its session.
    """
    return jwt.encode({"room": room_name, "sub": session_id, "iat": created_at_ms // 1000}, secret, algorithm="HS256")


def check_room_token(secret: bytes, *, room_name: str, token: str) -> None:
    """Raises `Unauthorized` unless the token is ours and for this room."""
    try:
        claims = jwt.decode(token, secret, algorithms=["HS256"], options={"require": ["room"], "verify_iat": False})
    except (jwt.InvalidTokenError, ValueError):
        raise Unauthorized("Invalid room token") from None
    if claims["room"] != room_name:
        raise Unauthorized("Invalid room token", suggestion="Use the token that came with this room's url")
