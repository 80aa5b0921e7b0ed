"""Base64 of strangers, decoded piece by piece: a decoder's call holds the whole process, in a thread as well."""

from __future__ import annotations

import binascii

PIECE_CHARS = 256 * 1024  # divisible by 4: no piece but the last has padding
_WHITE_SPACE = b" \t\r\n\v\f"  # base64 of MIME has lines of 76 characters
_URL_SAFE = bytes.maketrans(b"-_", b"+/")


def decode_base64(text: str, *, url_safe: bool = False) -> bytes:
    """Decode base64 with or without white space and padding. `url_safe`: `-` and `_` are taken as well.

    Raises ValueError for anything else.
    """
    compact = text.encode("ascii").translate(None, delete=_WHITE_SPACE)
    if url_safe:
        compact = compact.translate(_URL_SAFE)
    compact += b"=" * (-len(compact) % 4)
    last = max(0, len(compact) - 1) // PIECE_CHARS * PIECE_CHARS
    if compact.find(b"=", 0, last) >= 0:
        raise ValueError("padding before the end")
    pieces = [
        binascii.a2b_base64(compact[start : start + PIECE_CHARS], strict_mode=True)
        for start in range(0, len(compact), PIECE_CHARS)
    ]
    return b"".join(pieces)
