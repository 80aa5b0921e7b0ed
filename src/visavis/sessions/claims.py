"""The session or the avatar that an `Idempotency-Key` makes. Ids and token follow from the claim of the key, so whoever
performs the request again makes or finds the same one: after kill -9 it does not matter how far the first one came.
"""

from __future__ import annotations

import base64
import hmac
from dataclasses import dataclass

from visavis.avatars.service import NewIds
from visavis.ids import id_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """`token`: the session's access token. `avatar`: the ids of the avatar that is made of a photo."""

    session_id: str
    token: str
    avatar: NewIds


class Claims:
    """`secret`: the server's. Without it neither ids nor tokens can be guessed."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def of(self, account_id: str, idempotency_key: str, *, claimed_at_ms: int) -> Claim:
        """Return what the key makes that an account has claimed at this time."""
        claimed = f"{claimed_at_ms} {account_id} {idempotency_key}".encode()
        random = hmac.digest(self._secret, b"session of claim " + claimed, "sha256")
        token = hmac.digest(self._secret, b"token of claim " + claimed, "sha256")
        return Claim(
            session_id=id_at("sess", claimed_at_ms, random[:10]),
            token=base64.urlsafe_b64encode(token).rstrip(b"=").decode(),
            avatar=NewIds(
                character_id=id_at("avat", claimed_at_ms, random[10:20]),
                look_id=id_at("avat", claimed_at_ms, random[20:30]),
            ),
        )
