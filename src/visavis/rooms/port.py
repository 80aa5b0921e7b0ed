"""The port between a session and its rooms and recorders.

A room has two halves. Media leaves through a *sink*. Viewers come in through an *entrance*, which only the embedded
room has: other vendors' rooms admit their viewers themselves. A session may feed several sinks, for example its room
and a recorder. A room may also send speech to the session, through `RoomEvents`.

All calls are in one event loop, that of the session. Positions are samples at 48 kHz on the performance's clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from visavis.engine.motion.states import SettableState
from visavis.rooms.spec import IceRestarted, RoomEnd

# --- media

MediaKind = Literal["audio", "video"]
SILENT_LEVEL = 127  # RFC 6464, section 3


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedPacket:
    """One encoded picture (VP8) or one block of sound (Opus, 20 ms), shown or played at `position`.

    `level`: how loud a block is, as RFC 6464 counts: from 0 (as loud as can be) in -dBov to SILENT_LEVEL.
    """

    kind: MediaKind
    data: bytes
    position: int
    keyframe: bool = False
    level: int = SILENT_LEVEL


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RawPicture:
    """One picture: I420, uint8 (height * 3 // 2, width).

    The renderer draws the next picture into the same memory, so a sink must copy what it needs after `publish` has
    returned.
    """

    pixels: NDArray[np.uint8]
    position: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RawSound:
    """20 ms of sound: int16 (960,), mono, 48 kHz. `position`: that of the first sample. A sink must copy what it needs
    after `publish` has returned.
    """

    samples: NDArray[np.int16]
    position: int


MediaForm = Literal["encoded", "raw"]
MediaItem = EncodedPacket | RawPicture | RawSound


class _SinkBase(Protocol):
    """What both kinds of sink share. Whoever has opened a sink closes it."""

    @property
    def watched(self) -> bool:
        """Whether anybody receives what is published now. Media that no sink wants are neither drawn nor encoded."""
        ...

    def drop_backlog(self) -> int | None:
        """Drop everything that was published but not sent yet. Never blocks.

        Return the position of the first block of sound that nobody gets, None if somebody has got all sound.
        """
        ...

    async def aclose(self) -> None:
        """Disconnect all viewers and free resources; idempotent, takes at most 4 s. Later calls of `publish` do
        nothing.
        """
        ...


class EncodedSink(_SinkBase, Protocol):
    """A sink that takes encoded packets. They are encoded once for all sinks and viewers."""

    @property
    def takes(self) -> Literal["encoded"]: ...

    def publish(self, item: EncodedPacket) -> None:
        """Send one packet to all viewers.

        Packets of one kind come in the order of their positions. Never blocks and raises nothing. A viewer that cannot
        keep up loses packets; other viewers do not. When video overflows, it is dropped up to the next keyframe, which
        the sink requests by `RoomEvents.keyframe_wanted`. When sound overflows, the oldest is dropped.
        """
        ...


class RawSink(_SinkBase, Protocol):
    """A sink that takes pictures and sound before they are encoded. Daily's library accepts only these."""

    @property
    def takes(self) -> Literal["raw"]: ...

    def publish(self, item: RawPicture | RawSound) -> None:
        """Publish one picture or one block of sound.

        Items of one kind come in the order of their positions. Never blocks and raises nothing. A sink that cannot keep
        up drops pictures and the oldest sound.
        """
        ...


Sink = EncodedSink | RawSink


# --- viewers


class ViewerEntrance(Protocol):
    """Admits viewers to a room of this server, and removes them. Calls for different viewers may run at the same time.
    The entrance closes with the room's sink.
    """

    async def offer(self, *, viewer_id: str, sdp: str) -> str:
        """Return the SDP answer to a viewer's offer (recvonly video, audio, or both), with all ICE candidates.

        Raises `OfferRefused` if the offer cannot be answered or the room is closed, and `RoomFull`. After a cancelled
        call the viewer is not in the room.
        """
        ...

    async def add_candidates(self, *, viewer_id: str, fragment: str, ice_session: int = 0) -> None:
        """Check addresses of a viewer that its offer did not name: a fragment of SDP (RFC 8840). `ice_session`: the
        number of the ICE session that they belong to.

        Raises `CandidatesRefused`, `PreconditionFailed` for an earlier ICE session, `TooManyOffers`, `ViewerNotFound`.
        """
        ...

    async def restart_ice(self, *, viewer_id: str, fragment: str) -> IceRestarted:
        """Look for another path to a viewer whose network has changed. `fragment`: its new ICE credentials, and perhaps
        candidates. Media go on, on the path of before until there is another one. A viewer that does not find one in
        8 s is removed.

        Raises `CandidatesRefused`, `IceRestartUnavailable` for a viewer that has not connected yet, `TooManyOffers`,
        `ViewerNotFound`.
        """
        ...

    async def remove_viewer(self, viewer_id: str) -> bool:
        """Disconnect a viewer; return whether it was in the room. Does not wait until the connection is closed."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class AudienceFigures:
    """What was sent since the room has opened, to all viewers together: RTP packets and their payload, and packets that
    were dropped because a viewer could not keep up. `packets_resent`: lost packets that were sent again;
    `requests_refused`: lost packets and datagrams that were passed over (too many, or such as no room reads);
    `never_connected`: viewers that were removed because they did not connect.
    `viewers`: of each viewer that watches now, the round trip in ms (None if it has not reported yet) and the share of
    packets that it lost. `bit_rate_share`: how much of the full bit rate they take; `struggling`: how many of them have
    too bad a network for any bit rate.
    """

    packets_sent: int = 0
    bytes_sent: int = 0
    packets_resent: int = 0
    requests_refused: int = 0
    never_connected: int = 0
    dropped_blocks: int = 0
    dropped_pictures: int = 0
    viewers: tuple[tuple[float | None, float], ...] = ()
    bit_rate_share: float = 1.0
    struggling: int = 0


class Audience(Protocol):
    """Tells how the viewers of a room fare."""

    def figures(self) -> AudienceFigures:
        """Called once a second: viewers report as often."""
        ...


# --- events of a room


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomSpeech:
    """A piece of speech from a room: PCM16 LE, mono. The pieces of one `segment_id` follow each other. `final` ends the
    segment; then `pcm` may be empty. An interrupt ends it too: what follows needs another id.
    """

    pcm: bytes
    sample_rate_hz: int
    segment_id: str
    final: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomCall:
    """A call from the room. `call_id`: unique in the session."""

    call_id: str
    method: str
    payload: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomAnswer:
    """The answer to a call. `code`, `problem`: of its error, empty for none."""

    call_id: str
    payload: str = ""
    code: str = ""
    problem: str = ""


class RoomEvents(Protocol):
    """Receives the events of a session's room. The room calls these methods in the event loop, in the order of the
    events. They must not block. None is called after the room's `aclose` has returned.
    """

    def viewer_joined(self, viewer_id: str, viewers: int) -> None:
        """A viewer has begun to receive media. `viewers`: how many watch now."""
        ...

    def viewer_left(self, viewer_id: str, viewers: int) -> None:
        """A viewer that had joined has left. Called once for each."""
        ...

    def user_came(self) -> None:
        """The first user is there who may hear the avatar: viewers may also be agents and recorders. Called once, by
        rooms that know who somebody is.
        """
        ...

    def keyframe_wanted(self, *, joining: bool) -> None:
        """A viewer needs a keyframe. `joining`: it has no picture yet."""
        ...

    def first_frame_sent(self) -> None:
        """The first video packet has left for a viewer, or sound for one that takes sound alone. Called once."""
        ...

    def picture_sent(self, position: int) -> None:
        """The picture of this position has left for the first of its viewers, or sound for one that takes sound alone.
        Positions rise.
        """
        ...

    def speech_arrived(self, speech: RoomSpeech) -> None:
        """A participant of the room sends speech for the avatar to speak. Raises `QueueFull` and `InvalidRequest`; then
        nothing of the piece is queued, and the room reports the error to the participant.
        """
        ...

    def interrupted(self) -> None:
        """A participant of the room interrupts the avatar: all speech that arrived before is dropped."""
        ...

    def paused(self) -> None:
        """A participant of the room has the avatar stop in the middle of its speech, until `resumed` or `interrupted`.
        No effect where nothing is to be said.
        """
        ...

    def resumed(self) -> None:
        """The avatar goes on with the first sample that was not played."""
        ...

    def state_wanted(self, state: SettableState) -> None:
        """A participant of the room sets the state for the time without speech."""
        ...

    def call_arrived(self, call: RoomCall) -> None:
        """A participant of the room asks for something that the service does. It is answered by `AgentSide.answer`."""
        ...

    def segments_changed(self, agents: Mapping[str, str]) -> None:
        """The segments have changed whose ends the room has not told: by id, the participants that have sent them. If
        the room is lost, another one tells these ends (`AgentSide.segments_lost`).
        """
        ...

    def token_refreshed(self, token: str) -> None:
        """The room's server has given the avatar another token, for when it joins again: the one of the specification
        may run out.
        """
        ...

    def room_ended(self, end: RoomEnd, detail: str) -> None:
        """The avatar is no longer in the room, and will not come back: the session ends. Called once."""
        ...


# --- what a room tells its agent


@dataclass(frozen=True, slots=True, kw_only=True)
class LostSegment:
    """A segment of speech that is lost with the room of an earlier stage. `agent`: the participant that has sent it.
    `position_s`: how much of it was played.
    """

    agent: str
    position_s: float


class NamePlate(Protocol):
    """Shows the name of the avatar to the others in a room."""

    def show_name(self, name: str) -> None:
        """Change the name. Must not block."""
        ...


class AgentSide(Protocol):
    """What a room tells the participant that the avatar serves. Must not block."""

    def speech_started(self, utterance_id: str) -> None:
        """The first sample is played."""
        ...

    def speech_finished(self, utterance_id: str, *, position_s: float, interrupted: bool) -> None:
        """The last sample was played, or the utterance was interrupted. Once for each."""
        ...

    def segments_lost(self, lost: Iterable[LostSegment]) -> None:
        """Segments were lost with the room of an earlier stage: they end, interrupted."""
        ...

    def answer(self, answer: RoomAnswer) -> None:
        """Answer a call that `RoomEvents.call_arrived` has told. No effect if its caller has left."""
        ...

    def tell(self, state: str, *, reason: str, seconds_left: int | None = None) -> None:
        """Tell what becomes of the session: `expiring` with the seconds that are left, or `ended`."""
        ...


# --- an open room


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRoom:
    """The two halves of an open room, and what it knows about its viewers. Closing the sink closes the room."""

    sink: Sink
    entrance: ViewerEntrance | None = None  # None if the room admits its viewers itself
    audience: Audience | None = None  # None if the room does not know how its viewers fare
    agent_side: AgentSide | None = None  # None if no speech comes from the room
    name_plate: NamePlate | None = None  # None if the name of the avatar is not shown, or cannot be changed
