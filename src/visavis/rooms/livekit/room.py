"""A room of a LiveKit server, as a session's room: one participant, which joins again when its connection is lost."""

from __future__ import annotations

import asyncio
import itertools
import secrets
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import structlog
from livekit.protocol import models

from visavis.errors import RoomEncrypted, RoomRefused, RoomUnreachable, VisavisError
from visavis.outbound.reach import allowed_by
from visavis.rooms.bit_rate import ViewerBitRate
from visavis.rooms.keyframe_requests import KeyframeRequests
from visavis.rooms.livekit import packets
from visavis.rooms.livekit.agent_calls import AgentCalls
from visavis.rooms.livekit.agents import Change, People
from visavis.rooms.livekit.calls import Calls
from visavis.rooms.livekit.participant import Participant
from visavis.rooms.livekit.segments import Begun, Cleared, Empty, Refused, Segments, Step
from visavis.rooms.port import (
    AudienceFigures,
    EncodedPacket,
    LostSegment,
    MediaKind,
    RoomAnswer,
    RoomEvents,
    RoomSpeech,
)
from visavis.rooms.spec import IceServer, LiveKitRoomSpec, RoomEnd
from visavis.rooms.webrtc.send_path import SendPath

REJOIN_WAITS_S = (0.0, 0.5, 1.0, 2.0, 4.0)  # at most five tries, spaced out, then the room is lost
LOOK_EVERY_S = 0.1  # for segments that end by silence
STREAM_GOES_ON_WITHIN_S = 5.0  # after the avatar has come back: or its end was lost
AGENT_BACK_WITHIN_S = 15.0  # after the avatar: a server that was restarted has lost both
MAX_UNTOLD = 256
MAX_EARLY_BYTES = 4 << 20  # of what is told of others while the avatar joins
CLOSE_WITHIN_S = 3.0
# After the last sample of speech the tracks stay for so long: telephones and recorders drop what waits to be played of
# a track that is gone.
TRACKS_STAY_S = 0.5
AUDIO_TOPIC = "lk.audio_stream"
PLAYBACK_FINISHED = "lk.playback_finished"

log = structlog.get_logger("visavis.rooms")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opening:
    """What every participant of the room is made with."""

    size_px: tuple[int, int]
    wall_clock_at_start_ns: int
    ice_servers: tuple[IceServer, ...]


@dataclass(slots=True, kw_only=True)
class _Segment:
    """A segment whose end the agent waits for. `taken`: the session has taken speech of it, and will tell its end.
    `refused`: the agent was told that the session did not take its last piece.
    """

    agent: str
    taken: bool = False
    refused: bool = False


class LiveKitRoom:
    """Implements `rooms.port.EncodedSink`, `rooms.port.Audience` and `rooms.port.AgentSide`. Made by `open`."""

    takes: Literal["encoded"] = "encoded"

    def __init__(self, spec: LiveKitRoomSpec, events: RoomEvents, opening: _Opening) -> None:
        self._spec, self._events, self._opening = spec, events, opening
        self._token = spec.token
        self._path = SendPath(self)
        self._segments = Segments(name=f"segment_{secrets.token_hex(3)}", ends_by_silence=spec.ends_by_silence)
        self._people = People(agent_is_user=spec.ends_by_silence)
        self._early: list[models.ParticipantInfo] = []  # told while the avatar joins, itself among them
        self._early_bytes = 0
        self._calls = Calls(self._send)
        self._agent_calls = AgentCalls(self._people, events, send=self._send, clear=self._clear)
        self._open: dict[str, _Segment] = {}  # those that are not finished, by id
        self._joined: set[str] = set()  # the identities that the session knows
        self._participant: Participant | None = None
        self._bit_rate, self._keyframes = ViewerBitRate(), KeyframeRequests()
        self._keyframe: asyncio.TimerHandle | None = None
        self._newest_sent = -1
        self._departed = AudienceFigures()  # of the connections before the present one
        self._awaited_agent: asyncio.TimerHandle | None = None  # from a new connection until the agent is back
        self._awaited_streams: asyncio.TimerHandle | None = None  # from a new connection until their ends are lost
        self._untold: deque[tuple[str, str]] = deque(maxlen=MAX_UNTOLD)  # ends of segments, for an agent that is away
        self._told_ready = self._told_end = self._told_user = False
        self._spoke_until_s: float | None = None  # when speech ended last; monotonic
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
        """Join a room and publish. Raises `RoomRefused`, `RoomUrlRefused` and `RoomUnreachable`; then nothing is left
        open.
        """
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
            return replace(self._departed, bit_rate_share=self._bit_rate.share)
        round_trip_ms, lost_share = peer.quality()
        self._bit_rate.report(round_trip_ms=round_trip_ms, lost_share=lost_share)
        return replace(
            peer.add_to(self._departed),
            viewers=((round_trip_ms, lost_share),),
            bit_rate_share=self._bit_rate.share,
            struggling=int(self._bit_rate.struggles),
        )

    # --- speech
    def data_arrived(self, data: bytes) -> None:
        if (packet := packets.parse(data)) is None:
            return
        match packet.WhichOneof("value"):
            case "rpc_ack":
                self._calls.arrived(packet.rpc_ack.request_id)
            case "rpc_response":
                code = packet.rpc_response.error.code if packet.rpc_response.HasField("error") else None
                self._calls.answered(packet.rpc_response.request_id, code)
            case _ if not self._closed:
                self._take(packet)

    def _take(self, packet: models.DataPacket) -> None:
        sender, now_s = packet.participant_identity, time.monotonic()
        match packet.WhichOneof("value"):
            case "stream_header":
                header = packet.stream_header
                if header.topic == AUDIO_TOPIC and self._people.may_speak(sender):
                    self._tell_joined()
                    self._follow(self._segments.open(header.stream_id, sender, header.attributes, now_s))
            case "stream_chunk" if sender == self._people.agent:
                chunk = packet.stream_chunk
                self._follow(self._segments.chunk(chunk.stream_id, chunk.chunk_index, chunk.content, now_s))
            case "stream_trailer" if sender == self._people.agent:
                self._follow(self._segments.close(packet.stream_trailer.stream_id))
            case "rpc_request":
                self._agent_calls.take(sender, packet.rpc_request)
                self._tell_joined()
            case "encrypted_packet" if sender == self._people.agent:
                self._tell_state("error", RoomEncrypted.code)
                self._end("room_lost", "the agent's packets are end-to-end encrypted")

    def _clear(self) -> None:
        self._follow(self._segments.clear())

    def _follow(self, steps: list[Step]) -> None:
        for step in steps:
            match step:
                case Begun(segment_id=segment_id, agent=agent):
                    self._open[segment_id] = _Segment(agent=agent)
                    self._tell_open()
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
        segment = self._open.get(speech.segment_id)
        if segment is None:  # its end was told: the session has taken nothing of it, or somebody has interrupted it
            return
        try:
            self._events.speech_arrived(speech)
            segment.taken, segment.refused = True, False
        except VisavisError as error:  # too much is queued: what was taken before is still spoken
            if not segment.refused:
                log.warning("livekit_speech_refused", code=error.code)
                self._tell_state("error", error.code)
            segment.refused = True
            if not segment.taken:
                self.speech_finished(speech.segment_id, position_s=0.0, interrupted=True)

    def speech_started(self, utterance_id: str) -> None:
        if (segment := self._open.get(utterance_id)) is not None and self._participant is not None:
            self._calls.call(segment.agent, "lk.playback_started", "", tries=1)

    def speech_finished(self, utterance_id: str, *, position_s: float, interrupted: bool) -> None:
        if position_s > 0.0:
            self._spoke_until_s = time.monotonic()
        if (segment := self._open.pop(utterance_id, None)) is not None:
            self._tell_open()
            self._tell_end(segment.agent, position_s=position_s, interrupted=interrupted)

    def segments_lost(self, lost: Iterable[LostSegment]) -> None:
        for segment in lost:
            self._tell_end(segment.agent, position_s=segment.position_s, interrupted=True)

    def _tell_open(self) -> None:
        self._events.segments_changed({segment_id: segment.agent for segment_id, segment in self._open.items()})

    def _tell_end(self, agent: str, *, position_s: float, interrupted: bool) -> None:
        self._untold.append((agent, packets.finished(position_s, interrupted=interrupted)))
        self._tell_ends()

    def _tell_ends(self) -> None:
        """Tell the ends of segments, unless the connection or the agent is away: then once both are back."""
        while self._untold and self._participant is not None and self._awaited_agent is None:
            agent, end = self._untold.popleft()
            self._calls.call(agent, PLAYBACK_FINISHED, end)

    def _take_ends_back(self) -> None:
        """The connection is lost: what has not arrived over it is told over the next one."""
        lost = [call for call in self._calls.take_back() if call.method == PLAYBACK_FINISHED]
        self._untold.extendleft((call.to, call.payload) for call in reversed(lost))

    def answer(self, answer: RoomAnswer) -> None:
        self._agent_calls.answer(answer)

    def tell(self, state: str, *, reason: str, seconds_left: int | None = None) -> None:
        self._told_end = self._told_end or state == "ended"
        self._send(packets.state(state, reason, seconds_left=seconds_left))

    # --- people
    def people_changed(self, people: list[models.ParticipantInfo]) -> None:
        if self._participant is None:
            self._early += people
            self._early_bytes += sum(one.ByteSize() for one in people)
            if self._early_bytes > MAX_EARLY_BYTES:
                raise RoomUnreachable("The LiveKit server tells too much of other participants while the avatar joins")
        else:
            self._note(self._people.take(people))

    def token_refreshed(self, token: str) -> None:
        self._token = token
        self._events.token_refreshed(token)

    def _note(self, changes: list[Change], *, rejoined: bool = False) -> None:
        """`rejoined`: the avatar has just come back, perhaps before its agent has."""
        for change in changes:
            if change.came and change.is_agent:
                self._await_agent_no_longer()
            elif change.is_agent and rejoined:
                loop = asyncio.get_running_loop()
                self._awaited_agent = loop.call_later(AGENT_BACK_WITHIN_S, self._agent_stayed_away)
            if not change.came:
                self._follow(self._segments.leave(change.identity))
                if change.identity in self._joined:
                    self._joined.remove(change.identity)
                    self._events.viewer_left(change.identity, len(self._joined))
                if change.is_agent and not rejoined:
                    self._end("agent_left", "the agent has left the room")
        self._tell_ends()
        self._tell_joined()
        if self._people.has_user and not self._told_user:
            self._told_user = True
            self._events.user_came()

    def _agent_stayed_away(self) -> None:
        self._end("agent_left", f"the agent was not back {AGENT_BACK_WITHIN_S:g} s after the avatar")

    def _await_agent_no_longer(self) -> None:
        if self._awaited_agent is not None:
            self._awaited_agent.cancel()
            self._awaited_agent = None

    def _tell_joined(self) -> None:
        """Tell of those who have come, once the agent was seen, or heard if it is hidden: a session that waits for its
        agent in vain ends, whoever else is in the room.
        """
        if not self._people.agent_was_seen:
            return
        for identity in self._people.present:
            if identity not in self._joined:
                self._joined.add(identity)
                self._events.viewer_joined(identity, len(self._joined))

    # --- the connection
    async def _join(self, url: str | None = None) -> Participant:
        """`url`: of another server that has the room now."""
        participant = Participant(
            self,
            self._path,
            size_px=self._opening.size_px,
            wall_clock_at_start_ns=self._opening.wall_clock_at_start_ns,
            ice_servers=self._opening.ice_servers,
            is_allowed=allowed_by(self._spec.networks),
        )
        self._early, self._early_bytes = [], 0
        try:
            joined = await participant.join(url or self._spec.url, self._token)
        except BaseException:
            await participant.aclose()
            raise
        self._participant = participant
        self._people.take_own(joined.participant)
        self._note(self._people.take_all(joined.other_participants), rejoined=True)
        self._note(self._people.take(self._early))
        self._early = []
        asyncio.get_running_loop().call_soon(participant.let_data_in)  # once the session has its room
        return participant

    def _doubt_streams(self) -> None:
        """The avatar has joined again: the ends of streams that were open may have been lost."""
        if self._awaited_streams is not None:
            self._awaited_streams.cancel()
            self._awaited_streams = None
        if self._segments.doubt():
            loop = asyncio.get_running_loop()
            self._awaited_streams = loop.call_later(STREAM_GOES_ON_WITHIN_S, self._close_doubtful)

    def _close_doubtful(self) -> None:
        self._awaited_streams = None
        self._follow(self._segments.close_doubtful())

    async def _stay(self, participant: Participant) -> None:
        """Stay in the room: join again whenever the connection is lost."""
        while True:
            end = await participant.wait_over()
            if participant.publisher is not None:
                self._departed = participant.publisher.add_to(self._departed)
            self._participant = None
            self._take_ends_back()
            await participant.aclose()
            if self._closed:
                return
            if end is not None:
                self._end(end, "the server has ended the connection")
                return
            log.warning("livekit_connection_lost")
            again = await self._rejoin(participant.moved_to)
            if again is None:
                return
            participant = again

    async def _rejoin(self, moved_to: Sequence[str]) -> Participant | None:
        """`moved_to`: servers to which the last one has sent the avatar; they are tried first."""
        detail = ""
        urls = [*moved_to, self._spec.url]
        for wait_s, url in zip(REJOIN_WAITS_S, itertools.cycle(urls), strict=False):
            await asyncio.sleep(wait_s)
            try:
                participant = await self._join(url)
                self._doubt_streams()
                return participant
            except RoomRefused as error:
                detail = error.message
                if url == self._spec.url:
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

    async def _let_last_words_be_heard(self) -> None:
        if self._participant is not None and self._spoke_until_s is not None:
            await asyncio.sleep(max(0.0, self._spoke_until_s + TRACKS_STAY_S - time.monotonic()))

    async def aclose(self) -> None:
        told_within_s = 0.0 if self._closed else None  # after a room's own end nobody is there to be told
        self._closed = True
        for segment_id in list(self._open):  # the session has ended those of which it has taken speech
            self.speech_finished(segment_id, position_s=0.0, interrupted=True)
        if not self._told_end:
            self._tell_state("ended")
        for timer in (self._keyframe, self._awaited_agent, self._awaited_streams):
            if timer is not None:
                timer.cancel()
        # before the connection closes: it sends what the calls tell, and the last words
        await asyncio.gather(self._calls.aclose(within_s=told_within_s), self._let_last_words_be_heard())
        participant, self._participant = self._participant, None
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if participant is not None:
            try:
                await asyncio.wait_for(participant.aclose(), CLOSE_WITHIN_S)
            except TimeoutError:
                log.warning("livekit_close_timed_out")
        self._path.aclose()
