"""Encrypts the answers that are kept for idempotent requests: they hold access tokens, which the store has nowhere in
clear.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

from cryptography.fernet import Fernet, MultiFernet


class AnswerSeal:
    """`secret`: the server's. The database alone does not open an answer."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def of(self, account_id: str, api_key: str) -> MultiFernet:
        """Return the cipher of an account's answers: every key of the account opens them, also one that has replaced
        the key of the first request. `api_key` opens those that an earlier version has encrypted with it.
        """
        own = hmac.digest(self._secret, b"answers of " + account_id.encode(), "sha256")
        earlier = hashlib.sha256(b"sealed for " + api_key.encode()).digest()
        return MultiFernet([Fernet(base64.urlsafe_b64encode(key)) for key in (own, earlier)])
