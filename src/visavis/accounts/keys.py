"""API keys: their form and their hash."""

from __future__ import annotations

import hashlib
import re
import secrets
import string

_ALPHABET = string.ascii_letters + string.digits
_FORM = re.compile(r"ah_(live|test)_[A-Za-z0-9]{32}")


def new_key(*, test: bool) -> str:
    """Return a new key with 190 random bits."""
    return f"ah_{'test' if test else 'live'}_" + "".join(secrets.choice(_ALPHABET) for _ in range(32))


def has_key_form(text: str) -> bool:
    return _FORM.fullmatch(text) is not None


def hash_key(key: str) -> str:
    """Return the key's sha256 in hex. A key is long and random, so it cannot be guessed and needs no slow hash."""
    return hashlib.sha256(key.encode()).hexdigest()
