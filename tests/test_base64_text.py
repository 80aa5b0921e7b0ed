"""Base64 as clients send it, decoded in pieces."""

from __future__ import annotations

import base64
import os

import pytest

from visavis.base64_text import PIECE_CHARS, decode_base64


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 1000, PIECE_CHARS * 3 // 4 - 1, PIECE_CHARS * 3 // 4, PIECE_CHARS * 2])
def test_all_sizes(size: int) -> None:
    data = os.urandom(size)
    text = base64.b64encode(data).decode()
    assert decode_base64(text) == data
    assert decode_base64(text.rstrip("=")) == data
    assert decode_base64("\r\n".join(text[at : at + 76] for at in range(0, len(text), 76))) == data
    assert decode_base64(base64.urlsafe_b64encode(data).decode(), url_safe=True) == data


@pytest.mark.parametrize(
    "text",
    [
        *("!", "A", "AAAAA", "AA=A", "=", "====", "AA==AAAA", "é", "AA\0A", "A-_A", "AA AA=AA"),
        "AA==" * (PIECE_CHARS // 2),
        "A" * PIECE_CHARS + "=",
        "A" * (PIECE_CHARS - 4) + "AA==" + "AAAA",
        "A" * (2 * PIECE_CHARS) + "!",
    ],
)
def test_what_is_none(text: str) -> None:
    with pytest.raises(ValueError):
        decode_base64(text)
