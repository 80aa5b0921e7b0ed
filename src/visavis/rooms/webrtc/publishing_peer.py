"""A peer that publishes a session's media to another server: it makes the offer, and has data channels."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence

from aiortc import RTCDataChannel, RTCSessionDescription

from visavis.errors import RoomUnreachable
from visavis.rooms.port import MediaKind
from visavis.rooms.spec import tls_name
from visavis.rooms.webrtc.data_peer import MAX_CANDIDATES, RELIABLE, SILENT_WITHIN_S
from visavis.rooms.webrtc.ice_settings import TURN_WITHIN_S
from visavis.rooms.webrtc.private import consent, gathering, reports, sending
from visavis.rooms.webrtc.sending_peer import SendingPeer

LOSSY = "_lossy"  # a channel of a LiveKit server, by its label


class PublishingPeer(SendingPeer):
    """Call `offer`, then `accept`. Whoever has made the peer closes it."""

    _reliable: RTCDataChannel | None = None
    _candidates = 0  # that the other server has named

    async def offer(self, tracks: Mapping[MediaKind, str], *, opened: Callable[[], None]) -> str:
        """Return the SDP offer of these tracks, with all candidates.

        `tracks`: their ids, by kind. `opened`: called when data can be sent.
        """
        connection = self._open_connection()
        for kind, track_id in tracks.items():
            sending.name_track(self._add_stream(connection, kind), track_id)
        reports.pass_over_malformed_reports(connection.getSenders()[0].transport)
        ice = connection.getSenders()[0].transport.transport
        gathering.open_own_sockets(ice)
        gathering.name_turn_server(ice, tls_name(self._ice_servers))
        gathering.wait_for_turn_server(ice, within_s=TURN_WITHIN_S)
        consent.watch_consent(ice, expires_s=SILENT_WITHIN_S, moved=self._events.peer_disconnected)
        self._reliable = connection.createDataChannel(RELIABLE, ordered=True)
        self._reliable.on("open", opened)
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

    async def add_candidates(self, candidates: Sequence[str]) -> None:
        """Check further addresses of the server. Those that are invalid are left out, and those beyond the first
        MAX_CANDIDATES.
        """
        for candidate in candidates[: MAX_CANDIDATES - self._candidates]:
            self._candidates += 1
            with contextlib.suppress(ValueError, AssertionError, IndexError):
                await super().add_candidates([candidate])

    def send_data(self, data: bytes) -> bool:
        """Send on the reliable channel. Return whether it is open."""
        if self._reliable is None or self._reliable.readyState != "open":
            return False
        self._reliable.send(data)
        return True
