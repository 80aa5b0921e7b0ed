"""The LiveKit room of a bot, as Pipecat's transport joins it.

The avatar is a participant of that room, and to the transport it is somebody like all others: the bot would hear its
own voice, and greet its own face. Pipecat offers no way to leave somebody out, so this module puts itself before the
methods of the transport's client that take participants and tracks. Everything that it needs of Pipecat beyond its
public names is here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pipecat
from livekit import rtc
from pipecat.transports.livekit.transport import LiveKitTransport

from pipecat_visavis.tokens import room_and_identity

_PARTS = ("_url", "_token", "get_participants")
_EVENTS = (  # of one participant, who is the last argument or its identity
    "_async_on_participant_connected",
    "_async_on_participant_disconnected",
    "_async_on_track_subscribed",
    "_async_on_track_unsubscribed",
)
_DATA = "_async_on_data_received"


class BotRoom:
    """`url`: of the LiveKit server. `name`: of the room. `bot`: the identity of the bot, who need not have joined."""

    def __init__(self, transport: LiveKitTransport) -> None:
        """Raises RuntimeError for a release of Pipecat whose transport is another one, and ValueError for a token that
        opens no room.
        """
        client: Any = getattr(transport, "_client", None)
        missing = [name for name in (*_PARTS, *_EVENTS, _DATA) if not hasattr(client, name)]
        if missing:
            raise RuntimeError(
                f"The LiveKitTransport of pipecat-ai {pipecat.version()} is not the one that this package knows "
                f"(it has no {', '.join(missing)}): install pipecat-ai 1.14, or a newer pipecat-visavis"
            )
        self._client = client
        self.url: str = client._url
        self.name, self.bot = room_and_identity(client._token)

    def leave_out(self, identity: str) -> None:
        """From now on the bot neither hears nor sees a participant, and does not count it among the others."""
        client, find = self._client, self._client.get_participants
        client.get_participants = lambda: [one for one in find() if one != identity]
        for name in _EVENTS:
            setattr(client, name, _unless_from(identity, getattr(client, name)))
        receive = client._async_on_data_received

        async def receive_of_others(data: rtc.DataPacket) -> None:
            if data.participant is None or data.participant.identity != identity:
                await receive(data)

        client._async_on_data_received = receive_of_others


def _unless_from(identity: str, event: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    async def of_others(*arguments: Any) -> None:
        if arguments[-1].identity != identity:
            await event(*arguments)
            return
        for publication in arguments:
            if isinstance(publication, rtc.RemoteTrackPublication) and publication.subscribed:
                publication.set_subscribed(False)  # its media need not even come here

    return of_others
