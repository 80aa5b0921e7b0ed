"""The secrets of webhooks, which sign what is sent to them. The database has them encrypted with a key that is derived
from the server's secret: the database alone signs nothing.
"""

from __future__ import annotations

import base64
import hmac
import secrets

from cryptography.fernet import Fernet

from visavis.store.records import WebhookRecord

SECRET_BYTES = 32  # Standard Webhooks asks for 24 to 64


def new_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


class SecretSeal:
    """`secret`: the server's."""

    def __init__(self, secret: bytes) -> None:
        self._cipher = Fernet(base64.urlsafe_b64encode(hmac.digest(secret, b"secrets of webhooks", "sha256")))

    def seal(self, secret: str) -> str:
        return self._cipher.encrypt(secret.encode()).decode()

    def secrets_of(self, webhook: WebhookRecord, *, at_ms: int) -> list[str]:
        """Return the secrets that sign now, the newest first: two while a rotation overlaps."""
        sealed = [webhook.secret]
        if webhook.old_secret is not None and (webhook.old_secret_until_ms or 0) > at_ms:
            sealed.append(webhook.old_secret)
        return [self._cipher.decrypt(one.encode()).decode() for one in sealed]
