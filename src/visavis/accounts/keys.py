"""API keys: what they look like, and how one is recognised without being kept."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
import string

from cryptography.fernet import Fernet

_ALPHABET = string.ascii_letters + string.digits
_FORM = re.compile(r"ah_(live|test)_[A-Za-z0-9]{32}")


def new_key(*, test: bool) -> str:
    """Return a fresh key with 190 bits of chance in it."""
    return f"ah_{'test' if test else 'live'}_" + "".join(secrets.choice(_ALPHABET) for _ in range(32))


def has_key_form(text: str) -> bool:
    return _FORM.fullmatch(text) is not None


def sealed_for(key: str) -> Fernet:
    """What seals texts so that nobody opens them without the key: the store, which knows only its hash, cannot."""
    return Fernet(base64.urlsafe_b64encode(hashlib.sha256(b"sealed for " + key.encode()).digest()))


def key_hash(key: str) -> str:
    """sha256, hex. A key is random and long, so there is nothing to guess that a slow hash would slow down."""
    return hashlib.sha256(key.encode()).hexdigest()
