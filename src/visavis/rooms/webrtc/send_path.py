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
from visavis.rooms.webrtc.private_names import protect_function
from visavis.rooms.webrtc.rtp import KINDS, rtp_time, sent_time
from visavis.rooms.webrtc.viewer_link import ViewerLink

STORED_PACKETS = 1024  # of video, 1.2 MB: at 100 a second, what was sent in the last ten seconds
STORED_BLOCKS = 128  # of sound: 2.5 s
# A keyframe leaves in slices, so that it neither overflows a small buffer on its way nor holds up the event loop.
SLICE_PACKETS, SLICE_GAP_S = 12, 0.005
SLICE_DATAGRAMS = 2400  # to all viewers: about 10 ms of processor time
MIN_SLICE_PACKETS = 3


class SendPathEvents(Protocol):
    """Receives the events of a send path. Called in the event loop; must not block."""

    def keyframe_wanted(self) -> None:
        """Pictures were dropped; they go on with the next keyframe."""
        ...

    def media_sent(self, kind: MediaKind, position: int) -> None:
        """The picture or the block of sound with this position has left for its viewers."""
        ...


class SendPath:
    """Sends the packets of one session. Packets that are published while nobody watches are dropped."""

    def __init__(self, events: SendPathEvents) -> None:
        self._events = events
        self._backlogs: dict[MediaKind, Backlog] = {kind: Backlog(kind) for kind in KINDS}
        self._links: list[ViewerLink] = []
        self._relayed: list[ViewerLink] = []  # of these, the ones that C cannot send to
        self._beginning: set[ViewerLink] = set()  # those that have not been sent every kind yet
        self._flush_handle: asyncio.Handle | None = None  # for what is published in this step of the event loop
        self._slice_handle: asyncio.Handle | None = None  # for the next slice of a picture
        self._picture_id = random.randrange(1 << 15)
        self._next: dict[MediaKind, int] = dict.fromkeys(KINDS, 0)  # the packet after the newest in the store
        self._unsent = 0  # the first packet of video that was not sent yet
        self._cut_position = 0  # of the picture that was cut last
        self._picture_left = False  # whether a packet of it has left for a viewer
        self._positions: dict[MediaKind, int | None] = dict.fromkeys(KINDS)  # of what was sent last
        self._session: native.Session | None = None  # set for the first viewer
        self._memory: list[ctypes.Array[native.Packet]] = []
        self._batch = native.Batch()
        self._pointers = (ctypes.c_void_p * 0)()  # to the viewers

    @property
    def dropped(self) -> dict[MediaKind, int]:
        """How many pictures and blocks were dropped because the event loop could not keep up."""
        return {kind: backlog.dropped for kind, backlog in self._backlogs.items()}

    def position_sent(self, kind: MediaKind) -> int | None:
        """Return the position of what was sent last."""
        return self._positions[kind]

    # --- viewers
    def add(self, link: ViewerLink) -> None:
        """Send to a viewer from now on: sound at once, and pictures from the next keyframe on. Called after each kind
        of media that the link opens.
        """
        if self._session is None:
            self._session = self._open_session()
        self._beginning.add(link)
        if link in self._links:
            return
        self._links.append(link)
        link.path_changed = self._list_viewers
        self._list_viewers()

    def remove(self, link: ViewerLink) -> None:
        """Send nothing more to a viewer; idempotent."""
        if link not in self._links:
            return
        self._links.remove(link)
        self._beginning.discard(link)
        link.path_changed = lambda: None
        self._list_viewers()
        if not self._links:
            self.aclose()

    def _list_viewers(self) -> None:
        self._relayed = [link for link in self._links if link.relayed]
        addresses = [ctypes.addressof(link.viewer) for link in self._links]
        self._pointers = (ctypes.c_void_p * len(addresses))(*addresses)

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
        if not self._links:
            return
        if self._backlogs[packet.kind].put(packet):
            self._events.keyframe_wanted()
        if self._flush_handle is None:
            self._flush_handle = asyncio.get_running_loop().call_soon(self._flush)

    def drop_backlog(self) -> int | None:
        """Drop what was published and not sent yet; return the position of the first block of sound."""
        first = self._backlogs["audio"].first_position
        pictures_dropped = self._backlogs["video"].drop()
        self._backlogs["audio"].drop()
        if pictures_dropped:
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
                store, self._next["audio"], block.data, timestamp=rtp_time("audio", block.position)
            )
            positions.append(block.position)
        if positions and self._send("audio", range(first, self._next["audio"])):
            for position in positions:
                self._sent("audio", position)

    def _send_slice(self) -> None:
        """Send as many packets of pictures as may leave at once. The rest follows after a gap."""
        self._slice_handle = None
        left = max(MIN_SLICE_PACKETS, min(SLICE_PACKETS, SLICE_DATAGRAMS // max(1, len(self._links))))
        while left > 0:
            if self._unsent == self._next["video"] and not self._cut_picture():
                return
            end = min(self._unsent + left, self._next["video"])
            self._picture_left |= self._send("video", range(self._unsent, end))
            left -= end - self._unsent
            self._unsent = end
            if end == self._next["video"] and self._picture_left:
                self._sent("video", self._cut_position)
        if self._unsent < self._next["video"] or self._backlogs["video"]:
            self._slice_handle = asyncio.get_running_loop().call_later(SLICE_GAP_S, self._send_slice)

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
        self._next["video"] = next_packet
        self._cut_position, self._picture_left = picture.position, False
        return True

    def _send(self, kind: MediaKind, packets: range) -> bool:
        """Send packets to all viewers; return whether any has left."""
        assert self._session is not None
        number, now = KINDS.index(kind), sent_time(time.time())
        left = native.send(self._session, self._pointers, number, packets, time=now, batch=self._batch) > 0
        for link in self._relayed:
            if link.takes_more(kind):
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
