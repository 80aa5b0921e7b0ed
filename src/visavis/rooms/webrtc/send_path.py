"""The way of a session's packets to all its viewers. Pictures and sound are cut into RTP packets once, and one store
of the newest packets answers every viewer's reports of losses. What is left for each viewer (a header, SRTP, a system
call) happens in C (`rooms.native`).
"""

from __future__ import annotations

import asyncio
import ctypes
import random
import time
from typing import Protocol

from visavis.rooms import native
from visavis.rooms.backlog import Backlog
from visavis.rooms.port import EncodedPacket, MediaKind
from visavis.rooms.webrtc.private.sending import protect_function
from visavis.rooms.webrtc.rtp import KINDS, rtp_time, sent_time
from visavis.rooms.webrtc.viewer_link import ViewerLink

STORED_PACKETS = 1024  # of video, 1.2 MB: at 100 a second, what was sent in the last ten seconds
STORED_BLOCKS = 128  # of sound: 2.5 s
# A keyframe leaves in slices, so that it neither overflows a small buffer on its way nor holds up the event loop.
SLICE_PACKETS, SLICE_GAP_S = 12, 0.005
FIRST_SLICE_PACKETS = 32  # of a new viewer: the whole keyframe of 512x512, so that it is shown at once
SLICE_DATAGRAMS = 2400  # to all viewers: about 10 ms of processor time
MIN_SLICE_PACKETS = 3
# A new viewer begins with the newest keyframe if it is not older than this: what has followed comes at once, too.
FRESH_SAMPLES = 240 * 48


class SendPathEvents(Protocol):
    """Receives the events of a send path. Called in the event loop; must not block."""

    def keyframe_wanted(self) -> None:
        """Pictures were dropped; they go on with the next keyframe."""
        ...

    def media_sent(self, kind: MediaKind, position: int) -> None:
        """The picture or the block of sound with this position has left for its viewers."""
        ...


class SendPath:
    """Sends the packets of one session. Packets that are published while nobody watches are dropped, but pictures are
    kept for a viewer that is about to connect.
    """

    def __init__(self, events: SendPathEvents) -> None:
        self._events = events
        self._backlogs: dict[MediaKind, Backlog] = {kind: Backlog(kind) for kind in KINDS}
        self._links: list[ViewerLink] = []
        self._relayed: list[ViewerLink] = []  # of these, the ones that C cannot send to
        self._beginning: set[ViewerLink] = set()  # those that have not been sent every kind yet
        self._catching_up: dict[ViewerLink, int] = {}  # those that began with a keyframe that had left: the next packet
        self._awaits_viewers = False
        self._flush_handle: asyncio.Handle | None = None  # for what is published in this step of the event loop
        self._slice_handle: asyncio.Handle | None = None  # for the next slice of a picture
        self._picture_id = random.randrange(1 << 15)
        self._next: dict[MediaKind, int] = dict.fromkeys(KINDS, 0)  # the packet after the newest in the store
        self._unsent = 0  # the first packet of video that was not sent yet
        self._cut_position = 0  # of the picture that was cut last
        # first packet and position of the newest keyframe, if all that has followed it is in the store
        self._keyframe: tuple[int, int] | None = None
        self._picture_left = False  # whether a packet of it has left for a viewer
        self._positions: dict[MediaKind, int | None] = dict.fromkeys(KINDS)  # of what was sent last
        self._session: native.Session | None = None  # set for the first viewer
        self._memory: list[ctypes.Array[native.Packet]] = []
        self._batch = native.Batch()
        self._pointers = dict.fromkeys(KINDS, _pointers_to([]))  # to the viewers that get what leaves now

    @property
    def dropped(self) -> dict[MediaKind, int]:
        """How many pictures and blocks were dropped because the event loop could not keep up."""
        return {kind: backlog.dropped for kind, backlog in self._backlogs.items()}

    def position_sent(self, kind: MediaKind) -> int | None:
        """Return the position of what was sent last."""
        return self._positions[kind]

    # --- viewers
    def await_viewers(self, awaited: bool) -> None:
        """Whether a viewer is about to connect. Then pictures are kept for it, so that it can begin at once."""
        self._awaits_viewers = awaited
        if awaited and self._session is None:
            self._session = self._open_session()
        if not awaited and not self._links:
            self.aclose()

    @property
    def has_fresh_keyframe(self) -> bool:
        """Whether a viewer that is added now begins at once."""
        return self._keyframe is not None and self._cut_position - self._keyframe[1] <= FRESH_SAMPLES

    def begins_at_once(self, link: ViewerLink) -> bool:
        """Whether a viewer has begun, or begins in the next step of the event loop."""
        return link in self._catching_up or not link.waits_for_keyframe

    def add(self, link: ViewerLink) -> None:
        """Send to a viewer from now on: sound at once, and pictures from the newest keyframe on if it is fresh, else
        from the next one on. Called after each kind of media that the link opens.
        """
        if self._session is None:
            self._session = self._open_session()
        self._beginning.add(link)
        if self._keyframe is not None and self.has_fresh_keyframe and link.waits_for_keyframe:
            self._catching_up[link] = self._keyframe[0]
            if self._slice_handle is None:
                self._slice_handle = asyncio.get_running_loop().call_soon(self._send_slice)
        if link not in self._links:
            self._links.append(link)
            link.path_changed = self._list_viewers
        self._list_viewers()

    def remove(self, link: ViewerLink) -> None:
        """Send nothing more to a viewer; idempotent."""
        if link not in self._links:
            return
        self._links.remove(link)
        self._beginning.discard(link)
        self._catching_up.pop(link, None)
        link.path_changed = lambda: None
        self._list_viewers()
        if not self._links and not self._awaits_viewers:
            self.aclose()

    def _list_viewers(self) -> None:
        self._relayed = [link for link in self._links if link.relayed]
        self._pointers["audio"] = _pointers_to(self._links)
        self._pointers["video"] = _pointers_to([link for link in self._links if link not in self._catching_up])

    def resend(self, link: ViewerLink, kind: MediaKind, lost: list[int]) -> None:
        """Send packets again that a viewer has lost. `lost`: their sequence numbers."""
        assert self._session is not None
        number, now = KINDS.index(kind), sent_time(time.time())
        end = self._unsent if kind == "video" else self._next["audio"]
        for first in range(0, len(lost), native.BATCH):
            some = lost[first : first + native.BATCH]
            link.pass_on(native.resend(self._session, link.viewer, number, some, end=end, time=now, batch=self._batch))

    # --- media
    def publish(self, packet: EncodedPacket) -> None:
        """Send a packet in the next step of the event loop, together with what is published until then."""
        if not self._links and not (self._awaits_viewers and packet.kind == "video"):
            return
        if self._backlogs[packet.kind].put(packet):
            self._keyframe = None
            self._events.keyframe_wanted()
        if self._flush_handle is None:
            self._flush_handle = asyncio.get_running_loop().call_soon(self._flush)

    def drop_backlog(self) -> int | None:
        """Drop what was published and not sent yet; return the position of the first block of sound."""
        first = self._backlogs["audio"].first_position
        pictures_dropped = self._backlogs["video"].drop()
        self._backlogs["audio"].drop()
        if pictures_dropped:
            self._keyframe = None
            self._events.keyframe_wanted()
        return first

    def aclose(self) -> None:
        """Send nothing more until a viewer comes; idempotent."""
        for handle in (self._flush_handle, self._slice_handle):
            if handle is not None:
                handle.cancel()
        self._flush_handle = self._slice_handle = None
        for backlog in self._backlogs.values():
            backlog.drop()
        self._unsent = self._next["video"]
        self._keyframe = None
        self._catching_up.clear()

    # --- sending
    def _open_session(self) -> native.Session:
        self._memory = [(native.Packet * STORED_PACKETS)(), (native.Packet * STORED_BLOCKS)()]
        stores = [native.Store(packets=ctypes.addressof(packets), capacity=len(packets)) for packets in self._memory]
        return native.Session(protect=protect_function(), stores=(native.Store * len(stores))(*stores))

    def _flush(self) -> None:
        self._flush_handle = None
        self._send_sound()
        if self._slice_handle is None:
            self._send_slice()

    def _send_sound(self) -> None:
        assert self._session is not None
        store, first = self._session.stores[native.SOUND], self._next["audio"]
        positions = []
        while (block := self._backlogs["audio"].take()) is not None:
            self._next["audio"] = native.put_sound(
                store,
                self._next["audio"],
                block.data,
                timestamp=rtp_time("audio", block.position),
                level=block.level,
            )
            positions.append(block.position)
        if positions and self._send("audio", range(first, self._next["audio"])):
            for position in positions:
                self._sent("audio", position)

    def _send_slice(self) -> None:
        """Send as many packets of pictures as may leave at once. The rest follows after a gap."""
        self._slice_handle = None
        self._send_pictures(_slice_packets(len(self._links)) if self._links else STORED_PACKETS)
        if self._catching_up:
            self._catch_up(_slice_packets(len(self._catching_up)))
        if self._unsent < self._next["video"] or self._backlogs["video"] or self._catching_up:
            self._slice_handle = asyncio.get_running_loop().call_later(SLICE_GAP_S, self._send_slice)

    def _send_pictures(self, left: int) -> None:
        while left > 0:
            if self._unsent == self._next["video"] and not self._cut_picture():
                return
            end = min(self._unsent + left, self._next["video"])
            self._picture_left |= self._send("video", range(self._unsent, end))
            left -= end - self._unsent
            self._unsent = end
            if end == self._next["video"] and self._picture_left:
                self._sent("video", self._cut_position)

    def _catch_up(self, most: int) -> None:
        """Send at most so many packets to each viewer that has not got yet what has left since its keyframe, and more
        to those that begin.
        """
        finished = False
        beginning = max(most, min(FIRST_SLICE_PACKETS, SLICE_DATAGRAMS // len(self._catching_up)))
        for link, first in list(self._catching_up.items()):
            packets = range(first, min(first + (beginning if link.waits_for_keyframe else most), self._unsent))
            if self._send_to(_pointers_to([link]), [link], "video", packets) and packets.stop < self._unsent:
                self._catching_up[link] = packets.stop
            else:  # a viewer that has no path or does not keep up goes on with the next keyframe
                del self._catching_up[link]
                finished = True
        if finished:
            self._list_viewers()
            if self._unsent == self._next["video"]:
                self._sent("video", self._cut_position)

    def _cut_picture(self) -> bool:
        """Cut the next picture into packets; return whether there was one."""
        assert self._session is not None
        picture = self._backlogs["video"].take()
        if picture is None:
            return False
        next_packet = native.put_picture(
            self._session.stores[native.VIDEO],
            self._next["video"],
            picture.data,
            timestamp=rtp_time("video", picture.position),
            picture_id=self._picture_id,
            keyframe=picture.keyframe,
        )
        self._picture_id = (self._picture_id + 1) % (1 << 15)
        if next_packet == self._next["video"]:  # it does not fit into the store
            self._keyframe = None
        elif picture.keyframe:
            self._keyframe = self._next["video"], picture.position
        self._next["video"] = next_packet
        self._cut_position, self._picture_left = picture.position, False
        return True

    def _send(self, kind: MediaKind, packets: range) -> bool:
        """Send packets to all viewers, except pictures to those that are catching up; return whether any has left."""
        relayed = self._relayed
        if kind == "video" and self._catching_up:
            relayed = [link for link in relayed if link not in self._catching_up]
        return self._send_to(self._pointers[kind], relayed, kind, packets) if self._links else False

    def _send_to(
        self, pointers: ctypes.Array[ctypes.c_void_p], links: list[ViewerLink], kind: MediaKind, packets: range
    ) -> bool:
        """Send packets to viewers: by `pointers` to those that C can send to, by `links` to those that are relayed."""
        assert self._session is not None
        number, now = KINDS.index(kind), sent_time(time.time())
        left = native.send(self._session, pointers, number, packets, time=now, batch=self._batch) > 0
        for link in links:
            if link.relayed and link.takes_more(kind):
                for first in packets[:: native.BATCH]:
                    some = range(first, min(first + native.BATCH, packets.stop))
                    sealed = native.seal(self._session, link.viewer, number, some, time=now, batch=self._batch)
                    link.pass_on(sealed)
                    left |= bool(sealed)
        return left

    def _sent(self, kind: MediaKind, position: int) -> None:
        self._positions[kind] = position
        if self._beginning:
            self._beginning = {link for link in self._beginning if not link.begin()}
        self._events.media_sent(kind, position)


def _slice_packets(viewers: int) -> int:
    """Return how many packets of pictures may leave at once for each of so many viewers."""
    return max(MIN_SLICE_PACKETS, min(SLICE_PACKETS, SLICE_DATAGRAMS // max(1, viewers)))


def _pointers_to(links: list[ViewerLink]) -> ctypes.Array[ctypes.c_void_p]:
    addresses = [ctypes.addressof(link.viewer) for link in links]
    return (ctypes.c_void_p * len(addresses))(*addresses)
