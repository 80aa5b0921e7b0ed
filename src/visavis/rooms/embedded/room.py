"""The embedded room. Viewers join by WHEP, each over its own WebRTC connection of this process; all get the same
packets.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import InitVar, dataclass, field, replace
from typing import Literal

from visavis.errors import (
    CandidatesRefused,
    IceRestartUnavailable,
    OfferRefused,
    PreconditionFailed,
    RoomFull,
    TooManyOffers,
    ViewerNotFound,
)
from visavis.rooms.bit_rate import ViewerBitRate, share_for
from visavis.rooms.embedded.candidates import Candidate, keep_candidates
from visavis.rooms.embedded.fragment import read_fragment, read_restart, write_restart
from visavis.rooms.embedded.offer import CheckedOffer, check_offer
from visavis.rooms.keyframe_requests import KeyframeRequests
from visavis.rooms.port import AudienceFigures, EncodedPacket, MediaKind, RoomEvents
from visavis.rooms.spec import IceRestarted, IceServer
from visavis.rooms.webrtc.allowance import Allowance
from visavis.rooms.webrtc.send_path import SendPath
from visavis.rooms.webrtc.sending_peer import CLOSE_WITHIN_S, SendingPeer

JOIN_WITHIN_S = 15.0  # a viewer that has not connected within this time after its answer is removed ...
CHECK_WITHIN_S = 6.0  # ... and one that has not even sent a connectivity check within this time
MAX_VIEWERS = 1000  # that have connected; a stage takes what it can serve (audience_limit.py)
MAX_WAITING = 64  # that have not. For one more, the oldest that has sent no check is removed
MAX_FRAGMENTS = 32  # of candidates, from one viewer in one ICE session
RESTARTS_PER_S, RESTARTS_AT_ONCE = 0.2, 4  # of one viewer's ICE: each lets the server send to a dozen further addresses
# In a room that nobody watches, the picture that a viewer begins with is drawn as soon as its answer has left ...
AHEAD_AFTER_S = 0.005
AHEAD_EVERY_S = 1.0  # ... but no more often than this, whatever offers come
# A viewer whose first check comes later gets another keyframe: its handshake takes two round trips more, and what it
# begins with may be 240 ms old at most (send_path.py).
AHEAD_GOOD_FOR_S = 0.07


class EmbeddedRoom:
    """Implements both halves of the port, `rooms.port.EncodedSink` and `rooms.port.ViewerEntrance`, and
    `rooms.port.Audience`.

    `wall_clock_at_start_ns`: unix time of the performance's position 0, for the sender reports.
    """

    takes: Literal["encoded"] = "encoded"

    def __init__(
        self, events: RoomEvents, *, wall_clock_at_start_ns: int, ice_servers: tuple[IceServer, ...] = ()
    ) -> None:
        self._events = events
        self._wall_clock_at_start_ns = wall_clock_at_start_ns
        self._ice_servers = ice_servers
        self._path = SendPath(self)
        self._viewers: dict[str, _Viewer] = {}
        self._watching: Counter[MediaKind] = Counter()  # viewers that have joined, by their main medium
        self._expected: set[_Viewer] = set()  # those of pictures that have sent a check and have not joined yet
        self._answered: set[_Viewer] = set()  # those before their first check for whom a picture was drawn ahead
        self._draws_ahead = False  # until that picture has come
        self._ahead_at_s = -math.inf  # when one was asked for
        self._closing: set[asyncio.Task[None]] = set()  # aclose waits for them
        self._first_frame_sent = False
        self._newest_sent = -1  # the highest position of a packet of a main medium that has left
        self._departed = AudienceFigures()  # of the viewers that have left
        self._closed = False

    # --- media
    @property
    def watched(self) -> bool:
        """Also while a viewer is about to join: the picture that it begins with is made meanwhile."""
        return self._draws_ahead or bool(self._expected) or any(viewer.joined for viewer in self._viewers.values())

    def publish(self, item: EncodedPacket) -> None:
        if item.kind == "video":
            self._draws_ahead = False
        self._path.publish(item)

    def drop_backlog(self) -> int | None:
        return self._path.drop_backlog()

    # --- viewers
    async def offer(self, *, viewer_id: str, sdp: str) -> str:
        checked = check_offer(sdp)
        if self._closed:
            raise OfferRefused("The room is closed")
        if viewer_id in self._viewers:
            raise OfferRefused("This viewer is already in the room")
        self._make_room()
        viewer = self._viewers[viewer_id] = _Viewer(viewer_id, self, checked)
        try:
            answer = checked.complete(await viewer.peer.answer(checked.sdp, checked.kinds))
        except BaseException:
            self._remove(viewer)
            raise
        viewer.wait_for(CHECK_WITHIN_S, self._remove_unless_checked)
        if viewer.peer.main_medium == "video" and not self.watched:
            asyncio.get_running_loop().call_later(AHEAD_AFTER_S, self._draw_ahead, viewer)
        return answer

    def _draw_ahead(self, viewer: _Viewer) -> None:
        """Draw one picture while the viewer applies its answer: it begins with that one if it connects soon."""
        now_s = asyncio.get_running_loop().time()
        if viewer.removed or self.watched or now_s < self._ahead_at_s + AHEAD_EVERY_S:
            return
        self._ahead_at_s = now_s
        self._answered.add(viewer)
        self._draws_ahead = True
        self._keep_pictures()
        self._events.keyframe_wanted(joining=True)

    def _keep_pictures(self) -> None:
        self._path.await_viewers(bool(self._expected or self._answered))

    def _make_room(self) -> None:
        """Make sure that one more viewer may join, or raise `RoomFull`. Viewers that never connect take no seat."""
        waiting = [viewer for viewer in self._viewers.values() if not viewer.joined]
        if len(self._viewers) - len(waiting) < MAX_VIEWERS:
            if len(waiting) < MAX_WAITING:
                return
            silent = next((viewer for viewer in waiting if not viewer.peer.was_checked), None)
            if silent is not None:
                self._remove_unconnected(silent)
                return
        raise RoomFull(f"The room is full; it takes {MAX_VIEWERS} viewers", suggestion="Try again when one has left")

    async def add_candidates(self, *, viewer_id: str, fragment: str, ice_session: int = 0) -> None:
        added = read_fragment(fragment)
        viewer = self._viewer(viewer_id)
        if ice_session != viewer.ice_session:
            raise PreconditionFailed("This ICE session is over", suggestion="Send the ETag of the last ICE restart")
        if added.ice_ufrag not in ("", viewer.ice_ufrag):
            raise CandidatesRefused("The candidates belong to another ICE session", suggestion="Send If-Match: *")
        viewer.fragments += 1
        if viewer.fragments > MAX_FRAGMENTS:
            raise TooManyOffers("This viewer has sent candidates too often")
        candidates = keep_candidates(added.candidates, viewer.candidates)
        viewer.candidates += candidates
        await viewer.peer.add_candidates([str(candidate) for candidate in candidates])

    async def restart_ice(self, *, viewer_id: str, fragment: str) -> IceRestarted:
        asked = read_restart(fragment)
        viewer = self._viewer(viewer_id)
        if not viewer.joined:
            raise IceRestartUnavailable
        if asked.ice_ufrag == viewer.ice_ufrag:
            raise CandidatesRefused("The ICE session has this ice-ufrag already", suggestion="Send a new one")
        if not viewer.restarts.take(asyncio.get_running_loop().time()):
            raise TooManyOffers("This viewer restarts ICE too often")
        candidates = keep_candidates(asked.candidates)
        ours = await viewer.peer.restart_ice(
            user_name=asked.ice_ufrag, password=asked.ice_pwd, candidates=[str(candidate) for candidate in candidates]
        )
        viewer.ice_session += 1
        viewer.ice_ufrag, viewer.candidates, viewer.fragments = asked.ice_ufrag, candidates, 0
        kind, mid = viewer.transport_section
        answer = write_restart(
            kind=kind, mid=mid, ice_ufrag=ours.user_name, ice_pwd=ours.password, candidates=ours.candidates
        )
        return IceRestarted(fragment=answer, ice_session=viewer.ice_session)

    def _viewer(self, viewer_id: str) -> _Viewer:
        viewer = self._viewers.get(viewer_id)
        if viewer is None:
            raise ViewerNotFound
        return viewer

    async def remove_viewer(self, viewer_id: str) -> bool:
        viewer = self._viewers.get(viewer_id)
        if viewer is None:
            return False
        self._remove(viewer)
        return True

    async def aclose(self) -> None:
        self._closed = True
        self._path.aclose()
        for viewer in list(self._viewers.values()):
            self._remove(viewer)
        if self._closing:
            await asyncio.wait(self._closing, timeout=CLOSE_WITHIN_S)

    def _viewer_checked(self, viewer: _Viewer) -> None:
        """Make a keyframe while the viewer's handshake goes on."""
        if viewer.joined or viewer.removed or viewer.peer.main_medium != "video":
            return
        # Of a room that was not watched, the newest picture is as old as the last one that was drawn ahead.
        is_new = self.watched or asyncio.get_running_loop().time() <= self._ahead_at_s + AHEAD_GOOD_FOR_S
        self._expected.add(viewer)
        self._answered.discard(viewer)
        self._keep_pictures()
        if not (is_new and self._path.has_fresh_keyframe):
            self._events.keyframe_wanted(joining=True)

    def _expect_no_longer(self, viewer: _Viewer) -> None:
        if viewer in self._expected or viewer in self._answered:
            self._expected.discard(viewer)
            self._answered.discard(viewer)
            if not (self._expected or self._answered):
                self._draws_ahead = False
            self._keep_pictures()

    def _viewer_connected(self, viewer: _Viewer) -> None:
        if viewer.joined or viewer.removed:
            return
        if self._joined_count() >= MAX_VIEWERS:
            self._remove(viewer)
            return
        viewer.bit_rate = ViewerBitRate(starts_low=not self._joined_count())
        viewer.joined = True
        self._expect_no_longer(viewer)
        self._watching[viewer.peer.main_medium] += 1
        viewer.stop_waiting()
        self._events.viewer_joined(viewer.viewer_id, self._joined_count())
        if viewer.peer.main_medium == "video":
            viewer.keyframe_requests.wait_s(asyncio.get_running_loop().time())
            if not viewer.peer.begins_at_once:
                self._events.keyframe_wanted(joining=True)

    def figures(self) -> AudienceFigures:
        """See `rooms.port.Audience`."""
        total = self._departed
        for viewer in self._viewers.values():
            total = viewer.peer.add_to(total)
        joined = [viewer for viewer in self._viewers.values() if viewer.joined]
        qualities = tuple(viewer.peer.quality() for viewer in joined)
        for viewer, (round_trip_ms, lost_share) in zip(joined, qualities, strict=True):
            viewer.bit_rate.report(
                round_trip_ms=round_trip_ms, lost_share=lost_share, checked_ms=viewer.peer.checked_ms
            )
        rates = [viewer.bit_rate for viewer in joined]
        return replace(
            total,
            viewers=qualities,
            bit_rate_share=share_for(rates),
            struggling=sum(rate.struggles for rate in rates),
        )

    # --- events of the send path
    def keyframe_wanted(self) -> None:
        self._events.keyframe_wanted(joining=False)

    def media_sent(self, kind: MediaKind, position: int) -> None:
        if not self._watching[kind]:
            return
        if not self._first_frame_sent:
            self._first_frame_sent = True
            self._events.first_frame_sent()
        if position > self._newest_sent:
            self._newest_sent = position
            self._events.picture_sent(position)

    def _remove_unless_checked(self, viewer: _Viewer) -> None:
        if viewer.peer.was_checked:
            viewer.wait_for(max(0.0, JOIN_WITHIN_S - CHECK_WITHIN_S), self._remove_unconnected)
        else:
            self._remove_unconnected(viewer)

    def _remove_unconnected(self, viewer: _Viewer) -> None:
        self._departed = replace(self._departed, never_connected=self._departed.never_connected + 1)
        self._remove(viewer)

    def _remove(self, viewer: _Viewer) -> None:
        """Remove a viewer from the room, and close its connection in a separate task."""
        if viewer.removed:
            return
        viewer.removed = True
        self._expect_no_longer(viewer)
        self._departed = viewer.peer.add_to(self._departed)
        del self._viewers[viewer.viewer_id]
        viewer.stop_waiting()
        if viewer.keyframe:
            viewer.keyframe.cancel()
        if viewer.joined:
            self._watching[viewer.peer.main_medium] -= 1
            self._events.viewer_left(viewer.viewer_id, self._joined_count())
        task = asyncio.get_running_loop().create_task(viewer.peer.aclose())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _joined_count(self) -> int:
        return sum(viewer.joined for viewer in self._viewers.values())


@dataclass(slots=True, eq=False)
class _Viewer:
    """One viewer and its peer. Passes the peer's events to the room."""

    viewer_id: str
    room: EmbeddedRoom
    offer: InitVar[CheckedOffer]
    peer: SendingPeer = field(init=False)
    ice_ufrag: str = ""
    transport_section: tuple[str, str] = ("", "")  # of its offer
    ice_session: int = 0  # how often it has restarted ICE
    candidates: tuple[Candidate, ...] = ()  # those that are checked: of the ICE session, and those that came later
    fragments: int = 0  # how often candidates came later
    restarts: Allowance = field(default_factory=lambda: Allowance(per_s=RESTARTS_PER_S, burst=RESTARTS_AT_ONCE))
    joined: bool = False  # set when its connection begins to take media
    removed: bool = False  # set when it is removed from the room
    deadline: asyncio.TimerHandle | None = None  # for joining; set when its offer is answered
    keyframe: asyncio.TimerHandle | None = None  # while a request for a keyframe waits
    bit_rate: ViewerBitRate = field(default_factory=ViewerBitRate)
    keyframe_requests: KeyframeRequests = field(default_factory=KeyframeRequests)

    def __post_init__(self, offer: CheckedOffer) -> None:
        self.ice_ufrag, self.candidates = offer.ice_ufrag, offer.candidates
        self.transport_section = offer.transport_section
        self.peer = SendingPeer(
            self,
            self.room._path,
            wall_clock_at_start_ns=self.room._wall_clock_at_start_ns,
            ice_servers=self.room._ice_servers,
            checked=lambda: self.room._viewer_checked(self),
        )

    def peer_connected(self) -> None:
        self.room._viewer_connected(self)

    def wait_for(self, seconds: float, then: Callable[[_Viewer], None]) -> None:
        """Call `then` after so long, unless the viewer joins or leaves before. Replaces an earlier call."""
        self.stop_waiting()
        if not self.joined and not self.removed:
            self.deadline = asyncio.get_running_loop().call_later(seconds, then, self)

    def stop_waiting(self) -> None:
        if self.deadline:
            self.deadline.cancel()

    def keyframe_wanted(self) -> None:
        if self.removed or self.keyframe:
            return
        loop = asyncio.get_running_loop()
        wait_s = self.keyframe_requests.wait_s(loop.time())
        if wait_s:
            self.keyframe = loop.call_later(wait_s, self._ask_again)
        else:
            self.room._events.keyframe_wanted(joining=False)

    def _ask_again(self) -> None:
        self.keyframe = None
        self.keyframe_wanted()

    def peer_disconnected(self) -> None:
        self.room._remove(self)
