"""Whom a client of another machine of ours believes."""

from __future__ import annotations

import ssl
from pathlib import Path

from visavis.errors import SettingInvalid


def trust_in(authorities_pem: str | None) -> ssl.SSLContext:
    """Return a context for clients that believe these authorities alone; None: those of this machine. Raises
    ssl.SSLError.
    """
    return ssl.create_default_context(cadata=authorities_pem)


def read_authorities(path: Path) -> str:
    """Return the certificates of authorities in a file, in PEM. Raises `SettingInvalid` for a file that has none."""
    try:
        text = path.read_text(encoding="ascii")
        trust_in(text)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        why = "it is no certificate in PEM" if isinstance(error, (ssl.SSLError, ValueError)) else error.strerror
        raise SettingInvalid(f"The authority {path} cannot be used: {why}") from None
    return text
