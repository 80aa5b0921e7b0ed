"""The avatar as a participant of a LiveKit room: its signalling, its publisher and its subscriber connection."""

from __future__ import annotations

import asyncio
import contextlib
import json
import uuid
from typing import Any, Protocol

import structlog
from livekit.protocol import models, rtc

from visavis.errors import RoomEncrypted, RoomRefused, RoomUnreachable, VisavisError
from visavis.outbound.reach import IsAllowed
from visavis.rooms.livekit.agents import ON_BEHALF, agent_among
from visavis.rooms.livekit.server_addresses import ServerAddresses, checked_servers
from visavis.rooms.livekit.signalling import Signalling, is_address
from visavis.rooms.port import MediaKind
from visavis.rooms.spec import IceServer, RoomEnd
from visavis.rooms.webrtc.data_peer import MAX_CANDIDATES, DataPeer
from visavis.rooms.webrtc.publishing_peer import PublishingPeer
from visavis.rooms.webrtc.send_path import SendPath

CONNECTED_WITHIN_S = 10.0
NAMED_WITHIN_S = 2.0  # after the answer: all addresses of the server
LEAVE_WITHIN_S = 1.0
RESUME_WAITS_S = (0.0, 0.25, 0.5, 1.0, 2.0)
MAX_REGIONS = 4
MAX_HELD_BYTES = 16 << 20  # of data, until the avatar has joined
BIT_RATE = 1_390_000  # what is declared for the one layer

# How a room is over, by what its server says. After anything else the participant joins again.
ENDS: dict[int, RoomEnd] = {
    models.DisconnectReason.PARTICIPANT_REMOVED: "avatar_removed",
    models.DisconnectReason.DUPLICATE_IDENTITY: "avatar_removed",
    models.DisconnectReason.ROOM_DELETED: "room_deleted",
    models.DisconnectReason.ROOM_CLOSED: "room_deleted",
}

log = structlog.get_logger("visavis.rooms")


class ParticipantEvents(Protocol):
    """Receives what happens in the room. Called in the event loop; must not block."""

    def people_changed(self, people: list[models.ParticipantInfo]) -> None:
        """Others have joined, changed or left; their `state` tells which."""
        ...

    def data_arrived(self, data: bytes) -> None: ...

    def token_refreshed(self, token: str) -> None: ...

    def keyframe_wanted(self) -> None: ...

    def media_connected(self) -> None:
        """What is published reaches the server from now on."""
        ...


class Participant:
    """Call `join`, then `let_data_in` and `wait_over`. Whoever has made it closes it.
    `size_px`: width and height of the pictures. `is_allowed`: to which addresses anything may be sent.
    """

    def __init__(
        self,
        events: ParticipantEvents,
        path: SendPath,
        *,
        size_px: tuple[int, int],
        wall_clock_at_start_ns: int,
        ice_servers: tuple[IceServer, ...],
        is_allowed: IsAllowed,
    ) -> None:
        self._events, self._path, self._size_px = events, path, size_px
        self._is_allowed, self._addresses = is_allowed, ServerAddresses(is_allowed)
        self._wall_clock_at_start_ns, self._ice_servers = wall_clock_at_start_ns, ice_servers
        self._url = self._token = self._id = ""  # of the server; newest; the participant's own, since it has joined
        self._signalling: Signalling | None = None
        self.publisher: PublishingPeer | None = None
        self._subscriber: DataPeer | None = None
        self._published: dict[str, asyncio.Future[None]] = {}
        self._answer: asyncio.Future[str] | None = None
        self._answered = False
        self._early: list[str] = []  # candidates of the server that came before its answer
        # media reach the server; data can be sent; data come from it
        self._sends = self._sends_data = self._receives = False
        # what has come before `let_data_in`: an agent may speak as soon as it sees the avatar
        self._held_data: list[bytes] | None = []
        self._held_bytes = 0
        self._connected_or_over = asyncio.Event()
        self.moved_to: tuple[str, ...] = ()  # where the server sends the participant when it leaves; it may be nowhere
        self._over: asyncio.Future[RoomEnd | None] = asyncio.get_running_loop().create_future()
        self._problem: VisavisError | None = None  # what the server says cannot be taken
        self._tasks: list[asyncio.Task[None]] = []

    async def join(self, url: str, token: str) -> rtc.JoinResponse:
        """Join, publish both tracks, and wait until media reach the server. Raises `RoomRefused`, `RoomUrlRefused`,
        `RoomUnreachable`.
        """
        self._url, self._token = url, token
        self._signalling = await Signalling.open(url, token, is_allowed=self._is_allowed)
        joined = await self._signalling.join()
        self._id = joined.participant.sid
        if any(track.encryption for other in joined.other_participants for track in other.tracks):
            raise RoomEncrypted
        await self._be_known_as_avatar(joined)
        self._ice_servers = (*await checked_servers(joined.ice_servers, self._is_allowed), *self._ice_servers)
        self._tasks.append(asyncio.create_task(self._listen(self._signalling)))
        try:
            async with asyncio.timeout(CONNECTED_WITHIN_S):
                await self._publish_unless_over()
                await self._wait_connected()
        except TimeoutError:
            raise RoomUnreachable(
                "The LiveKit server answers, but no media reach it within 10 s",
                suggestion="Open its UDP ports to this machine, or give it a TURN server, over TCP or TLS where UDP is "
                "blocked; ICE over TCP is not enough",
            ) from None
        if not self._is_connected or self._problem is not None:
            ended = RoomUnreachable("The LiveKit server has ended the connection before media reached it")
            raise self._problem or ended
        return joined

    async def _be_known_as_avatar(self, joined: rtc.JoinResponse) -> None:
        """See that no agent takes the avatar for its user: it listens to the first participant that is of no agent's
        kind and speaks for none. Where the token says neither, and lets the avatar say so, it says it now. Raises
        `RoomRefused`.
        """
        me = joined.participant
        if me.kind == models.ParticipantInfo.Kind.AGENT or me.attributes.get(ON_BEHALF):
            return
        agent = agent_among(joined.other_participants)
        if agent is None or not me.permission.can_update_metadata:
            raise RoomRefused(
                "The token names no agent: the room's agent would listen to the avatar",
                suggestion=f"Give the token the kind agent, and its attribute {ON_BEHALF} the agent's identity",
            )
        me.attributes[ON_BEHALF] = agent
        told = rtc.UpdateParticipantMetadata(name=me.name, metadata=me.metadata, attributes=me.attributes)
        await self._send(rtc.SignalRequest(update_metadata=told))

    async def _wait_connected(self) -> None:
        """Raises what keeps media from the server, if it is known: it names its addresses right after its answer."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(NAMED_WITHIN_S):
                await self._connected_or_over.wait()
                return
        if (problem := self._addresses.problem()) is not None:
            raise problem
        await self._connected_or_over.wait()

    async def wait_over(self) -> RoomEnd | None:
        """Wait until the participant is out of the room. Return why; None if it may join again."""
        return await asyncio.shield(self._over)

    def let_data_in(self) -> None:
        """Tell what data have come, and will come."""
        held, self._held_data = self._held_data or [], None
        for data in held:
            self._events.data_arrived(data)

    def send(self, packet: bytes) -> bool:
        """Send a data packet. Return whether it could be sent."""
        return self.publisher is not None and self.publisher.send_data(packet)

    async def aclose(self) -> None:
        """Leave the room and disconnect; takes at most 4 s."""
        self._finish(None)
        if self._signalling is not None:
            leave = rtc.LeaveRequest(reason=models.DisconnectReason.CLIENT_INITIATED)
            try:
                async with asyncio.timeout(LEAVE_WITHIN_S):
                    await self._signalling.send(rtc.SignalRequest(leave=leave))
                    await self._signalling.aclose()
            except TimeoutError:
                log.info("livekit_leave_timed_out")
        for task in self._tasks:
            task.cancel()
        peers = [peer.aclose() for peer in (self.publisher, self._subscriber) if peer is not None]
        await asyncio.gather(*peers, *self._tasks, return_exceptions=True)

    # --- events of the two connections
    def peer_connected(self) -> None:
        self._sends = True
        self._note_connected()
        self._events.media_connected()

    def _data_opened(self) -> None:
        self._receives = True
        self._note_connected()

    def _data_arrived(self, data: bytes) -> None:
        if self._held_data is None:
            self._events.data_arrived(data)
            return
        self._held_bytes += len(data)
        if self._held_bytes > MAX_HELD_BYTES:
            self._problem = RoomUnreachable("More data have come than are kept while the avatar joins (16 MiB)")
            self._finish(None)
        else:
            self._held_data.append(data)

    def _sending_opened(self) -> None:
        self._sends_data = True
        self._note_connected()

    @property
    def _is_connected(self) -> bool:
        return self._sends and self._sends_data and self._receives

    def _note_connected(self) -> None:
        if self._is_connected:
            self._connected_or_over.set()

    def keyframe_wanted(self) -> None:
        self._events.keyframe_wanted()

    def peer_disconnected(self) -> None:
        self._finish(None)

    # --- publishing
    async def _publish_unless_over(self) -> None:
        publishing = asyncio.ensure_future(self._publish())
        either: list[asyncio.Future[Any]] = [publishing, self._over]
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if publishing.done():
                publishing.result()
        finally:
            publishing.cancel()

    async def _publish(self) -> None:
        width_px, height_px = self._size_px
        tracks: dict[MediaKind, str] = {kind: str(uuid.uuid4()) for kind in ("video", "audio")}
        layer = models.VideoLayer(quality=models.VideoQuality.HIGH, width=width_px, height=height_px, bitrate=BIT_RATE)
        video = rtc.AddTrackRequest(
            cid=tracks["video"],
            name="avatar_video",
            type=models.TrackType.VIDEO,
            source=models.TrackSource.CAMERA,
            width=width_px,
            height=height_px,
            layers=[layer],
        )
        audio = rtc.AddTrackRequest(
            cid=tracks["audio"],
            name="avatar_audio",
            type=models.TrackType.AUDIO,
            source=models.TrackSource.MICROPHONE,
            disable_dtx=True,
            disable_red=True,
        )
        loop = asyncio.get_running_loop()
        self._published = {track_id: loop.create_future() for track_id in tracks.values()}
        for request in (video, audio):
            await self._send(rtc.SignalRequest(add_track=request))
        self.publisher = PublishingPeer(
            self, self._path, wall_clock_at_start_ns=self._wall_clock_at_start_ns, ice_servers=self._ice_servers
        )
        offering = asyncio.ensure_future(self.publisher.offer(tracks, opened=self._sending_opened))
        try:
            await asyncio.gather(*self._published.values())
            self._answer = loop.create_future()
            offer = rtc.SessionDescription(type="offer", sdp=await offering)
        finally:
            if not offering.done():
                offering.cancel()
        await self._send(rtc.SignalRequest(offer=offer))
        await self.publisher.accept(await self._answer)
        self._answered = True
        await self.publisher.add_candidates(self._early)

    # --- the server's messages
    async def _listen(self, signalling: Signalling) -> None:
        """Take the server's messages, until the participant is out of the room. A signalling that is lost is opened
        again while media go on.
        """
        try:
            while not self._over.done():
                await self._read(signalling)
                if not self._is_connected or (again := await self._resume()) is None:
                    return
                log.info("livekit_signalling_resumed")
                signalling = self._signalling = again
        except VisavisError as error:
            log.warning("livekit_message_refused", error=error.message)
            self._problem = error
        except Exception:  # the outermost edge of a participant
            log.exception("livekit_message_failed")
        finally:
            self._finish(None)

    async def _read(self, signalling: Signalling) -> None:
        """Take messages until this signalling is lost."""
        keeping = asyncio.create_task(signalling.keep_alive())
        keeping.add_done_callback(lambda _: signalling.abort())
        try:
            async for message in signalling.messages():
                await self._take(message)
        finally:
            keeping.cancel()

    async def _resume(self) -> Signalling | None:
        """Open another signalling, for the same participant. None if the server cannot be reached or does not know the
        participant any more: it has to join again.
        """
        for wait_s in RESUME_WAITS_S:
            await asyncio.sleep(wait_s)
            if self._over.done():
                return None
            try:
                opened = await Signalling.open(self._url, self._token, is_allowed=self._is_allowed, resumes=self._id)
            except RoomUnreachable:
                continue
            except VisavisError:
                return None
            try:
                resumed = await opened.resume()
            except BaseException:
                opened.abort()
                raise
            if resumed:
                return opened
            opened.abort()
            return None
        return None

    async def _take(self, message: rtc.SignalResponse) -> None:
        match message.WhichOneof("message"):
            case "track_published":
                published = self._published.get(message.track_published.cid)
                if published is not None and not published.done():
                    published.set_result(None)
            case "answer":
                if self._answer is not None and not self._answer.done():
                    self._answer.set_result(self._addresses.without_others(message.answer.sdp))
            case "offer":
                if self._subscriber is None:
                    self._subscriber = DataPeer(
                        self._data_arrived,
                        opened=self._data_opened,
                        lost=self.peer_disconnected,
                        ice_servers=self._ice_servers,
                    )
                sdp = await self._subscriber.answer(self._addresses.without_others(message.offer.sdp))
                answer = rtc.SessionDescription(type="answer", sdp=sdp, id=message.offer.id)
                await self._send(rtc.SignalRequest(answer=answer))
            case "trickle":
                await self._add_candidate(message.trickle)
            case "update":
                self._events.people_changed(list(message.update.participants))
            case "refresh_token":
                self._token = message.refresh_token
                self._events.token_refreshed(message.refresh_token)
            case "leave":
                self._leave(message.leave)

    def _leave(self, leave: rtc.LeaveRequest) -> None:
        log.info("livekit_leave", reason=int(leave.reason), action=int(leave.action))
        if leave.action == rtc.LeaveRequest.Action.DISCONNECT:
            self._finish(ENDS.get(leave.reason))
        elif leave.action == rtc.LeaveRequest.Action.RESUME and self._signalling is not None:
            self._signalling.abort()  # and another one is opened
        else:
            urls = [region.url for region in leave.regions.regions[:MAX_REGIONS]]
            self.moved_to = tuple(url for url in urls if is_address(url))
            self._finish(None)

    async def _add_candidate(self, trickle: rtc.TrickleRequest) -> None:
        try:
            told = json.loads(trickle.candidateInit)
            line = str(told["candidate"])
        except (ValueError, KeyError, TypeError):
            return
        candidate = line.removeprefix("candidate:")
        if not candidate or not self._addresses.takes(candidate):
            return
        if trickle.target == rtc.SignalTarget.SUBSCRIBER:
            if self._subscriber is not None:
                index = told.get("sdpMLineIndex")
                await self._subscriber.add_candidate(candidate, mid=told.get("sdpMid"), index=index)
        elif self.publisher is None or not self._answered:
            if len(self._early) < MAX_CANDIDATES:
                self._early.append(candidate)
        else:
            await self.publisher.add_candidates([candidate])

    async def _send(self, message: rtc.SignalRequest) -> None:
        if self._signalling is not None:
            await self._signalling.send(message)

    def _finish(self, end: RoomEnd | None) -> None:
        if not self._over.done():
            self._over.set_result(end)
            self._connected_or_over.set()
