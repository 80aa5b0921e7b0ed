"""A peer that publishes a session's media to another server: it makes the offer, and has data channels."""

from __future__ import annotations

from collections.abc import Mapping

from aiortc import RTCDataChannel, RTCSessionDescription

from visavis.errors import RoomUnreachable
from visavis.rooms.port import MediaKind
from visavis.rooms.webrtc import private_names
from visavis.rooms.webrtc.sending_peer import SendingPeer

RELIABLE, LOSSY = "_reliable", "_lossy"  # the channels of a LiveKit server, by their labels


class PublishingPeer(SendingPeer):
    """Call `offer`, then `accept`. Whoever has made the peer closes it."""

    _reliable: RTCDataChannel | None = None

    async def offer(self, tracks: Mapping[MediaKind, str]) -> str:
        """Return the SDP offer of these tracks, with all candidates. `tracks`: their ids, by kind."""
        connection = self._open_connection()
        for kind, track_id in tracks.items():
            private_names.name_track(self._add_stream(connection, kind), track_id)
        private_names.pass_over_malformed_reports(connection.getSenders()[0].transport)
        private_names.open_own_sockets(connection.getSenders()[0].transport.transport)
        self._reliable = connection.createDataChannel(RELIABLE, ordered=True)
        connection.createDataChannel(LOSSY, ordered=False, maxRetransmits=0)
        await connection.setLocalDescription(await connection.createOffer())
        return connection.localDescription.sdp

    async def accept(self, sdp: str) -> None:
        """Take the answer. Then the connection is established in the background. Raises `RoomUnreachable`."""
        if self._connection is None:
            return
        try:
            await self._connection.setRemoteDescription(RTCSessionDescription(sdp=sdp, type="answer"))
        except Exception as error:  # aiortc raises many types of errors for SDP that it cannot take
            raise RoomUnreachable(f"The room's answer cannot be taken: {error}") from error

    def send_data(self, data: bytes) -> bool:
        """Send on the reliable channel. Return whether it is open."""
        if self._reliable is None or self._reliable.readyState != "open":
            return False
        self._reliable.send(data)
        return True
