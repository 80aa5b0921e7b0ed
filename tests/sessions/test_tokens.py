"""The tokens of rooms."""

from __future__ import annotations

import jwt
import pytest

from visavis.errors import Unauthorized
from visavis.sessions.tokens import check_room_token, sign_room_token

SECRET = b"a secret of more than thirty-two bytes"


def test_a_room_token_is_what_a_library_of_jwt_makes_and_reads() -> None:
    token = sign_room_token(SECRET, room_name="vv-1", session_id="sess_1", created_at_ms=1_700_000_000_999)
    claims = {"room": "vv-1", "sub": "sess_1", "iat": 1_700_000_000}
    assert token == jwt.encode(claims, SECRET, algorithm="HS256")
    assert jwt.decode(token, SECRET, algorithms=["HS256"]) == claims
    check_room_token(SECRET, room_name="vv-1", token=token)
    with pytest.raises(Unauthorized):
        check_room_token(SECRET + b"!", room_name="vv-1", token=token)
