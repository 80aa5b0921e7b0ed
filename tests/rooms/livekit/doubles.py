"""Stands for a connection to a LiveKit server, and for the session: no media, no network."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from livekit.protocol import models

from visavis.errors import QueueFull
from visavis.rooms.livekit import packets
from visavis.rooms.livekit.participant import Participant
from visavis.rooms.livekit.room import LiveKitRoom
from visavis.rooms.port import AudienceFigures, RoomCall, RoomSpeech
from visavis.rooms.spec import RoomEnd

Kind, State = models.ParticipantInfo.Kind, models.ParticipantInfo.State
AGENT = models.ParticipantInfo(identity="agent", kind=Kind.AGENT, state=State.ACTIVE)


class Publisher:
    """A connection over which ten packets have left."""

    def add_to(self, figures: AudienceFigures) -> AudienceFigures:
        return replace(figures, packets_sent=figures.packets_sent + 10)

    def quality(self) -> tuple[None, float]:
        return None, 0.0


@dataclass(eq=False)
class Connection:
    """Stands for a participant. `sent`: its data packets. `acknowledges`: called with each call's acknowledgement, as
    the agent's client does.
    """

    others: list[models.ParticipantInfo]
    publisher: Publisher = field(default_factory=Publisher)
    lost: asyncio.Event = field(default_factory=asyncio.Event)
    sent: list[models.DataPacket] = field(default_factory=list)
    acknowledges: Callable[[bytes], None] | None = None
    closed_s: float | None = None  # monotonic
    moved_to: tuple[str, ...] = ()

    async def wait_over(self) -> RoomEnd | None:
        await self.lost.wait()
        return None

    def send(self, packet: bytes) -> bool:
        parsed = packets.parse(packet)
        assert parsed is not None
        self.sent.append(parsed)
        if parsed.HasField("rpc_request") and self.acknowledges is not None:
            arrived = packets.acknowledge("avatar", parsed.rpc_request.id)
            asyncio.get_running_loop().call_soon(self.acknowledges, arrived)
        return True

    async def aclose(self) -> None:
        self.closed_s = self.closed_s or time.monotonic()

    def ends(self) -> list[tuple[float, bool]]:
        """The ends that were told: position, and whether the segment was interrupted."""
        calls = [packet.rpc_request for packet in self.sent if packet.WhichOneof("value") == "rpc_request"]
        told = [json.loads(call.payload) for call in calls if call.method == "lk.playback_finished"]
        return [(one["playback_position"], one["interrupted"]) for one in told]

    def states(self) -> list[dict[str, str]]:
        """The states of the session that were told."""
        told = [packet.user for packet in self.sent if packet.WhichOneof("value") == "user"]
        return [json.loads(user.payload) for user in told if user.topic == packets.STATE_TOPIC]


class Events:
    """What the session is told."""

    def __init__(self) -> None:
        self.ended: asyncio.Future[tuple[RoomEnd, str]] = asyncio.get_running_loop().create_future()
        self.speech: list[RoomSpeech] = []
        self.open: dict[str, str] = {}  # segments that have not ended
        self.full = False  # too much is queued
        self.users = 0  # how often a first one came

    def viewer_joined(self, viewer_id: str, viewers: int) -> None: ...

    def viewer_left(self, viewer_id: str, viewers: int) -> None: ...

    def user_came(self) -> None:
        self.users += 1

    def keyframe_wanted(self, *, joining: bool) -> None: ...

    def first_frame_sent(self) -> None: ...

    def picture_sent(self, position: int) -> None: ...

    def speech_arrived(self, speech: RoomSpeech) -> None:
        if self.full:
            raise QueueFull("full")
        self.speech.append(speech)

    def interrupted(self) -> None: ...

    def paused(self) -> None: ...

    def resumed(self) -> None: ...

    def state_wanted(self, state: str) -> None: ...

    def call_arrived(self, call: RoomCall) -> None: ...

    def segments_changed(self, agents: Mapping[str, str]) -> None:
        self.open = dict(agents)

    def token_refreshed(self, token: str) -> None: ...

    def room_ended(self, end: RoomEnd, detail: str) -> None:
        self.ended.set_result((end, detail))


class Room(LiveKitRoom):
    """A room whose connections a test makes."""

    connections: list[Connection]

    async def _join(self, url: str | None = None) -> Participant:
        connection = self.connections.pop(0)
        self._participant = connection  # type: ignore[assignment]
        self._note(self._people.take_all(connection.others), rejoined=True)
        return connection  # type: ignore[return-value]
