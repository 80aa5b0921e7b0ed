"""Makes short-lived credentials, one for each session, for TURN servers that share a secret with this server.

The scheme is that of "A REST API For Access To TURN Services" (draft-uberti-behave-turn-rest), which coturn and others
know as `use-auth-secret`: the user name is the time at which it expires, and the password its HMAC.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

from pydantic import SecretStr

from visavis.settings import IceServer

VALID_S = 12 * 3600  # at least as long as a session: TURN checks them again at every refresh of an allocation


def for_session(server: IceServer, session_id: str, *, now_s: int) -> IceServer:
    """Return the server with credentials for one session. A server without a shared secret is returned unchanged."""
    if server.secret is None:
        return server
    username = f"{now_s + VALID_S}:{session_id}"
    digest = hmac.new(server.secret.get_secret_value().encode(), username.encode(), hashlib.sha1).digest()
    return IceServer(url=server.url, username=username, credential=SecretStr(base64.b64encode(digest).decode()))
