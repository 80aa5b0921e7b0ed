"""The STUN and TURN servers of the settings, as stages get them."""

from __future__ import annotations

from visavis import turn
from visavis.rooms import spec
from visavis.settings import IceServer, Settings
from visavis.timestamps import now_ms


def shared_ice_servers(settings: Settings) -> tuple[spec.IceServer, ...]:
    """Return those that all sessions share."""
    return tuple(_for_stages(server) for server in settings.ice_servers if server.secret is None)


def session_ice_servers(settings: Settings, session_id: str) -> tuple[spec.IceServer, ...]:
    """Return the TURN servers that share a secret with this server, with credentials of this session that expire."""
    sharing = [server for server in settings.ice_servers if server.secret is not None]
    return tuple(_for_stages(turn.for_session(server, session_id, now_s=now_ms() // 1000)) for server in sharing)


def _for_stages(server: IceServer) -> spec.IceServer:
    return spec.IceServer(
        url=server.url,
        username=server.username,
        credential=None if server.credential is None else server.credential.get_secret_value(),
    )
