"""Sinks that record in memory, one for each form of media."""

from __future__ import annotations

from collections import deque
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from visavis.rooms.backlog import Backlog
from visavis.rooms.port import EncodedPacket, MediaKind, RawPicture, RawSound, RoomEvents

MAX_PICTURES, MAX_BLOCKS = 15, 50  # that wait to be written


class EncodedRecorder:
    """Implements `rooms.port.EncodedSink`. Published packets wait until `write` is called, as if for a disk."""

    takes: Literal["encoded"] = "encoded"

    def __init__(self, events: RoomEvents) -> None:
        self._events = events
        self._waiting: dict[MediaKind, Backlog] = {"audio": Backlog("audio"), "video": Backlog("video")}
        self.written: list[EncodedPacket] = []
        self.watched = True

    @classmethod
    def open(cls, events: RoomEvents) -> EncodedRecorder:
        recorder = cls(events)
        events.keyframe_wanted(joining=True)
        return recorder

    def publish(self, item: EncodedPacket) -> None:
        if self.watched and self._waiting[item.kind].put(item):
            self._events.keyframe_wanted(joining=False)

    def drop_backlog(self) -> int | None:
        first = self._waiting["audio"].first_position
        for backlog in self._waiting.values():
            if backlog.drop():
                self._events.keyframe_wanted(joining=False)
        return first

    def write(self) -> None:
        for backlog in self._waiting.values():
            while (packet := backlog.take()) is not None:
                self.written.append(packet)

    async def aclose(self) -> None:
        self.watched = False


class RawRecorder:
    """Implements `rooms.port.RawSink`; see `EncodedRecorder`."""

    takes: Literal["raw"] = "raw"

    def __init__(self) -> None:
        self._pictures: deque[tuple[int, NDArray[np.uint8]]] = deque(maxlen=MAX_PICTURES)
        self._sound: deque[tuple[int, NDArray[np.int16]]] = deque(maxlen=MAX_BLOCKS)
        self.pictures: list[tuple[int, NDArray[np.uint8]]] = []
        self.sound: list[tuple[int, NDArray[np.int16]]] = []
        self.watched = True

    def publish(self, item: RawPicture | RawSound) -> None:
        if not self.watched:
            return
        if isinstance(item, RawPicture):
            self._pictures.append((item.position, item.pixels.copy()))
        else:
            self._sound.append((item.position, item.samples.copy()))

    def drop_backlog(self) -> int | None:
        first = self._sound[0][0] if self._sound else None
        self._pictures.clear()
        self._sound.clear()
        return first

    def write(self) -> None:
        self.pictures += self._pictures
        self.sound += self._sound
        self.drop_backlog()

    async def aclose(self) -> None:
        self.watched = False
