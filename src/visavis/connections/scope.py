"""How a request or a channel reaches the connection that it came over: in its ASGI scope.

There is none where no server of ours is in front, as in tests of the application alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

SCOPE_KEY = "visavis.connection"
CAME_S = "visavis.came_s"  # when a channel came, on anyio's clock, if somebody waited for its first frame before


class ProvableConnection(Protocol):
    def prove(self) -> None:
        """A request of this connection has shown a valid key or token, or another server of the fleet relays it: it is
        not dropped for others any more.
        """
        ...


class AttachableConnection(Protocol):
    def session_attached(self) -> None:
        """The channel of this connection holds a session: it may send large messages from now on."""
        ...

    def session_refused(self) -> None:
        """The channel's last message attached no session: the next one may come, and must be small."""
        ...


def prove(scope: Mapping[str, Any]) -> None:
    """Tell the connection of a request or a channel that its caller is known: see `ProvableConnection`."""
    connection: ProvableConnection | None = scope.get(SCOPE_KEY)
    if connection is not None:
        connection.prove()


def session_attached(scope: Mapping[str, Any]) -> None:
    """Tell the channel's connection that a session is attached."""
    connection: AttachableConnection | None = scope.get(SCOPE_KEY)
    if connection is not None:
        connection.session_attached()


def session_refused(scope: Mapping[str, Any]) -> None:
    """Tell the channel's connection that its last message attached no session."""
    connection: AttachableConnection | None = scope.get(SCOPE_KEY)
    if connection is not None:
        connection.session_refused()
