"""A room of a LiveKit server, as a session's room: one participant, which joins again when its connection is lost."""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import dataclass
from typing import Literal

import structlog
from livekit.protocol import models

from visavis.errors import RoomRefused, VisavisError
from visavis.rooms.bit_rate import ViewerBitRate
from visavis.rooms.keyframe_requests import KeyframeRequests
from visavis.rooms.livekit import packets
from visavis.rooms.livekit.agents import Change, People
from visavis.rooms.livekit.calls import Calls
from visavis.rooms.livekit.participant import Participant
from visavis.rooms.livekit.segments import Begun, Cleared, Empty, Refused, Segments, Step
from visavis.rooms.port import AudienceFigures, EncodedPacket, MediaKind, RoomEvents, RoomSpeech
from visavis.rooms.spec import IceServer, LiveKitRoomSpec, RoomEnd
from visavis.rooms.webrtc.send_path import SendPath

REJOIN_WAITS_S = (0.0, 0.5, 1.0, 2.0, 4.0)  # at most five tries, spaced out, then the room is lost
LOOK_EVERY_S = 0.1  # for segments that end by silence
CLOSE_WITHIN_S = 3.0
AUDIO_TOPIC = "lk.audio_stream"

log = structlog.get_logger("visavis.rooms")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opening:
    """What every participant of the room is made with."""

    size_px: tuple[int, int]
    wall_clock_at_start_ns: int
    ice_servers: tuple[IceServer, ...]


class LiveKitRoom:
    """Implements `rooms.port.EncodedSink`, `rooms.port.Audience` and `rooms.port.SpeechListener`. Made by `open`."""

    takes: Literal["encoded"] = "encoded"

    def __init__(self, spec: LiveKitRoomSpec, events: RoomEvents, opening: _Opening) -> None:
        self._spec, self._events, self._opening = spec, events, opening
        self._token = spec.token
        self._path = SendPath(self)
        self._segments = Segments(name=f"segment_{secrets.token_hex(3)}", ends_by_silence=spec.ends_by_silence)
        self._people = People()
        self._calls = Calls(self._send)
        self._agents: dict[str, str] = {}  # who has sent a segment that is not finished, by segment
        self._participant: Participant | None = None
        self._bit_rate, self._keyframes = ViewerBitRate(), KeyframeRequests()
        self._keyframe: asyncio.TimerHandle | None = None
        self._newest_sent = -1
        self._told_ready = False
        self._closed = False
        self._tasks: list[asyncio.Task[None]] = []

    @classmethod
    async def open(
        cls,
        spec: LiveKitRoomSpec,
        events: RoomEvents,
        *,
        size_px: tuple[int, int],
        wall_clock_at_start_ns: int,
        ice_servers: tuple[IceServer, ...],
    ) -> LiveKitRoom:
        """Join a room and publish. Raises `RoomRefused` and `RoomUnreachable`; then nothing is left open."""
        opening = _Opening(size_px=size_px, wall_clock_at_start_ns=wall_clock_at_start_ns, ice_servers=ice_servers)
        room = cls(spec, events, opening)
        participant = await room._join()
        room._tasks = [asyncio.create_task(room._stay(participant)), asyncio.create_task(room._watch_silence())]
        return room

    # --- media
    @property
    def watched(self) -> bool:
        return self._participant is not None and not self._closed

    def publish(self, item: EncodedPacket) -> None:
        self._path.publish(item)

    def drop_backlog(self) -> int | None:
        return self._path.drop_backlog()

    def media_sent(self, kind: MediaKind, position: int) -> None:
        if kind != "video" or position <= self._newest_sent:
            return
        if not self._told_ready:
            self._told_ready = True
            self._events.first_frame_sent()
            self._tell_state("ready")
        self._newest_sent = position
        self._events.picture_sent(position)

    def keyframe_wanted(self) -> None:
        if self._closed or self._keyframe is not None:
            return
        loop = asyncio.get_running_loop()
        wait_s = self._keyframes.wait_s(loop.time())
        if wait_s:
            self._keyframe = loop.call_later(wait_s, self._ask_again)
        else:
            self._events.keyframe_wanted(joining=False)

    def _ask_again(self) -> None:
        self._keyframe = None
        self.keyframe_wanted()

    def media_connected(self) -> None:
        self._events.keyframe_wanted(joining=True)

    def figures(self) -> AudienceFigures:
        """See `rooms.port.Audience`. The server is the one viewer."""
        peer = None if self._participant is None else self._participant.publisher
        if peer is None:
            return AudienceFigures()
        packets_sent, bytes_sent = peer.sent_counts()
        resent, refused = peer.resend_counts()
        round_trip_ms, lost_share = peer.quality()
        self._bit_rate.report(round_trip_ms=round_trip_ms, lost_share=lost_share)
        return AudienceFigures(
            packets_sent=packets_sent,
            bytes_sent=bytes_sent,
            packets_resent=resent,
            requests_refused=refused,
            dropped_blocks=peer.dropped("audio"),
            dropped_pictures=peer.dropped("video"),
            viewers=((round_trip_ms, lost_share),),
            bit_rate_share=self._bit_rate.share,
            struggling=int(self._bit_rate.struggles),
        )

    # --- speech
    def data_arrived(self, data: bytes) -> None:
        packet = packets.parse(data)
        if packet is None or self._closed:
            return
        sender, now_s = packet.participant_identity, time.monotonic()
        match packet.WhichOneof("value"):
            case "stream_header":
                header = packet.stream_header
                if header.topic == AUDIO_TOPIC and self._people.may_speak(sender):
                    self._follow(self._segments.open(header.stream_id, sender, header.attributes, now_s))
            case "stream_chunk" if sender == self._people.agent:
                chunk = packet.stream_chunk
                self._follow(self._segments.chunk(chunk.stream_id, chunk.chunk_index, chunk.content, now_s))
            case "stream_trailer" if sender == self._people.agent:
                self._follow(self._segments.close(packet.stream_trailer.stream_id))
            case "rpc_request":
                self._answer_call(sender, packet.rpc_request)
            case "rpc_response":
                code = packet.rpc_response.error.code if packet.rpc_response.HasField("error") else None
                self._calls.answered(packet.rpc_response.request_id, code)

    def _answer_call(self, sender: str, call: models.RpcRequest) -> None:
        self._send(packets.acknowledge(sender, call.id))
        if call.method != "lk.clear_buffer":
            self._send(packets.refusal(sender, call.id, packets.UNSUPPORTED_METHOD, "Method not supported"))
        elif not self._people.may_speak(sender):
            self._send(packets.refusal(sender, call.id, packets.APPLICATION_ERROR, "Only the avatar's agent may"))
        else:
            self._follow(self._segments.clear())
            self._send(packets.response(sender, call.id, "ok"))

    def _follow(self, steps: list[Step]) -> None:
        for step in steps:
            match step:
                case Begun(segment_id=segment_id, agent=agent):
                    self._agents[segment_id] = agent
                case RoomSpeech():
                    self._speak(step)
                case Cleared():
                    self._events.interrupted()
                case Empty(segment_id=segment_id, interrupted=interrupted):
                    self.speech_finished(segment_id, position_s=0.0, interrupted=interrupted)
                case Refused(agent=agent, why=why):
                    log.warning("livekit_stream_refused", agent=agent, why=why)
                    self._tell_state("error", why)

    def _speak(self, speech: RoomSpeech) -> None:
        try:
            self._events.speech_arrived(speech)
        except VisavisError as error:  # too much is queued: what was taken before is still spoken
            log.warning("livekit_speech_refused", code=error.code)
            self._tell_state("error", error.code)

    def speech_started(self, utterance_id: str) -> None:
        if (agent := self._agents.get(utterance_id)) is not None:
            self._calls.call(agent, "lk.playback_started", "", tries=1)

    def speech_finished(self, utterance_id: str, *, position_s: float, interrupted: bool) -> None:
        if (agent := self._agents.pop(utterance_id, None)) is not None:
            self._calls.call(agent, "lk.playback_finished", packets.finished(position_s, interrupted=interrupted))

    # --- people
    def people_changed(self, people: list[models.ParticipantInfo]) -> None:
        self._note(self._people.take(people))

    def token_refreshed(self, token: str) -> None:
        self._token = token

    def _note(self, changes: list[Change]) -> None:
        for change in changes:
            if change.came:
                self._events.viewer_joined(change.identity, self._people.count)
            else:
                self._follow(self._segments.leave(change.identity))
                self._events.viewer_left(change.identity, self._people.count)
                if change.is_agent:
                    self._end("agent_left", "the agent has left the room")

    # --- the connection
    async def _join(self) -> Participant:
        participant = Participant(
            self,
            self._path,
            size_px=self._opening.size_px,
            wall_clock_at_start_ns=self._opening.wall_clock_at_start_ns,
            ice_servers=self._opening.ice_servers,
        )
        try:
            joined = await participant.join(self._spec.url, self._token)
        except BaseException:
            await participant.aclose()
            raise
        self._participant = participant
        self._people.take_own(joined.participant)
        self._note(self._people.take_all(joined.other_participants))
        return participant

    async def _stay(self, participant: Participant) -> None:
        """Stay in the room: join again whenever the connection is lost."""
        while True:
            end = await participant.wait_over()
            self._participant = None
            await participant.aclose()
            if self._closed:
                return
            if end is not None:
                self._end(end, "the server has ended the connection")
                return
            log.warning("livekit_connection_lost")
            again = await self._rejoin()
            if again is None:
                return
            participant = again

    async def _rejoin(self) -> Participant | None:
        detail = ""
        for wait_s in REJOIN_WAITS_S:
            await asyncio.sleep(wait_s)
            try:
                return await self._join()
            except RoomRefused as error:
                detail = error.message
                break
            except VisavisError as error:
                detail = error.message
        self._end("room_lost", detail)
        return None

    async def _watch_silence(self) -> None:
        while self._segments.ends_by_silence:
            await asyncio.sleep(LOOK_EVERY_S)
            self._follow(self._segments.pass_time(time.monotonic()))

    def _end(self, end: RoomEnd, detail: str) -> None:
        if not self._closed:
            self._closed = True
            self._events.room_ended(end, detail)

    def _send(self, packet: bytes) -> bool:
        return self._participant is not None and self._participant.send(packet)

    def _tell_state(self, name: str, reason: str | None = None) -> None:
        self._send(packets.state(name, reason))

    async def aclose(self) -> None:
        self._closed = True
        self._tell_state("ended")
        if self._keyframe is not None:
            self._keyframe.cancel()
        participant, self._participant = self._participant, None
        await self._calls.aclose()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if participant is not None:
            try:
                await asyncio.wait_for(participant.aclose(), CLOSE_WITHIN_S)
            except TimeoutError:
                log.warning("livekit_close_timed_out")
        self._path.aclose()
