"""A Daily room, as a session's room: one participant with a camera and a microphone of its own.

Daily's library takes pictures and sound as they are, and encodes them itself. Speech comes over the session's channel.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Literal

import structlog

from visavis.errors import RoomUnreachable
from visavis.rooms.daily.ends import join_error, room_end
from visavis.rooms.daily.library import Camera, Client, Library, load
from visavis.rooms.daily.outbox import Outbox, Picture, Sound
from visavis.rooms.port import RawPicture, RawSound, RoomEvents
from visavis.rooms.spec import DailyRoomSpec, RoomEnd

SAMPLE_RATE_HZ = 48_000
JOINED_WITHIN_S = 10.0
LEFT_WITHIN_S = 2.0
REASON_WITHIN_S = 0.5  # after the end of a call its error may still come

# Nobody is seen or heard here.
_DEAF = {"base": {"camera": "unsubscribed", "microphone": "unsubscribed"}}
# The sound is speech already: nothing is to be filtered out of it.
_AS_IT_IS = {name: {"exact": False} for name in ("autoGainControl", "echoCancellation", "noiseSuppression")}
_PUBLISHING = {
    "camera": {"isPublishing": True, "sendSettings": {"maxQuality": "high"}},
    "microphone": {"isPublishing": True, "sendSettings": {"channelConfig": "mono", "bitrate": 64_000}},
}

log = structlog.get_logger("visavis.rooms")


class DailyRoom:
    """Implements `rooms.port.RawSink` and `rooms.port.NamePlate`. Made by `open`."""

    takes: Literal["raw"] = "raw"

    def __init__(self, spec: DailyRoomSpec, events: RoomEvents, library: Library, *, size_px: tuple[int, int]) -> None:
        self._spec, self._events, self._library = spec, events, library
        self._loop = asyncio.get_running_loop()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="daily")  # its calls, one after the other
        self._name = f"visavis-{secrets.token_hex(4)}"  # of its devices, which all rooms of a process share
        self._cameras = 0
        self._size_px = size_px  # of the camera; only the outbox changes it
        self._camera: Camera = self._new_camera(*size_px)
        self._microphone = library.Daily.create_microphone_device(
            f"{self._name}-microphone", sample_rate=SAMPLE_RATE_HZ, channels=1, non_blocking=True
        )
        self._client: Client = library.CallClient(_handler(library, self._tell))
        self._outbox = Outbox(self._write)
        self._viewers: set[str] = set()  # the ids of the others in the room
        self._joined = self._first_told = self._closed = self._released = False
        self._ending: asyncio.TimerHandle | None = None  # the call is over, and its error may still come
        self._sending: asyncio.Task[None] | None = None

    @classmethod
    async def open(
        cls, spec: DailyRoomSpec, events: RoomEvents, *, size_px: tuple[int, int], library: Library | None = None
    ) -> DailyRoom:
        """Join a room and publish. Raises `RoomPlatformUnavailable`, `RoomRefused` and `RoomUnreachable`; then nothing
        is left open. `library`: daily-python, if it is not to be loaded.
        """
        if library is None:
            library = await asyncio.to_thread(load)
        room = cls(spec, events, library, size_px=size_px)
        try:
            people = await room._join()
        except BaseException:
            await room.aclose()
            raise
        room._joined = True
        room._sending = asyncio.create_task(room._outbox.run())
        for participant in people:
            room._take("joined", participant)
        return room

    # --- media
    @property
    def watched(self) -> bool:
        return self._joined and not self._closed

    def publish(self, item: RawPicture | RawSound) -> None:
        if not self.watched:
            return
        if isinstance(item, RawSound):
            self._outbox.put(Sound(data=item.samples.tobytes(), position=item.position))
            return
        rows, width_px = item.pixels.shape
        height_px = rows * 2 // 3
        picture = Picture(data=item.pixels.tobytes(), width_px=width_px, height_px=height_px, position=item.position)
        self._outbox.put(picture)

    def drop_backlog(self) -> int | None:
        return self._outbox.drop()

    async def _write(self, item: Picture | Sound) -> None:
        if isinstance(item, Sound):
            await self._in_thread(self._microphone.write_frames, item.data)
        else:
            await self._in_thread(self._write_picture, item)
            self._note_sent(item.position)

    def _write_picture(self, picture: Picture) -> None:
        """In the room's thread."""
        if self._size_px != (picture.width_px, picture.height_px):
            self._size_px = picture.width_px, picture.height_px
            self._camera = self._new_camera(*self._size_px)
            self._client.update_inputs({"camera": self._camera_input()})
        self._camera.write_frame(picture.data)

    def _new_camera(self, width_px: int, height_px: int) -> Camera:
        """A camera has one size for ever."""
        self._cameras += 1
        return self._library.Daily.create_camera_device(
            self._camera_name(), width=width_px, height=height_px, color_format="I420"
        )

    def _camera_name(self) -> str:
        return f"{self._name}-camera-{self._cameras}"

    def _camera_input(self) -> dict[str, Any]:
        return {"isEnabled": True, "settings": {"deviceId": self._camera_name()}}

    # --- the call
    async def _join(self) -> list[Mapping[str, Any]]:
        """Join; return who is in the room."""
        answered: asyncio.Future[tuple[Mapping[str, Any] | None, str | None]] = self._loop.create_future()
        microphone = {"deviceId": f"{self._name}-microphone", "customConstraints": _AS_IT_IS}
        inputs = {"camera": self._camera_input(), "microphone": {"isEnabled": True, "settings": microphone}}

        def completed(people: Mapping[str, Any] | None, error: str | None) -> None:
            self._call_soon(_settle, answered, (people, error))

        def join() -> None:
            if self._spec.name:
                self._client.set_user_name(self._spec.name)
            self._client.update_subscription_profiles(_DEAF)
            self._client.join(
                self._spec.url,
                meeting_token=self._spec.token,
                client_settings={"inputs": inputs, "publishing": _PUBLISHING},
                completion=completed,
            )

        try:
            async with asyncio.timeout(JOINED_WITHIN_S):
                await self._in_thread(join)
                joined, error = await answered
        except TimeoutError:
            raise RoomUnreachable(f"Daily does not answer within {JOINED_WITHIN_S:g} s") from None
        if error is not None:
            raise join_error(error)
        people = (joined or {}).get("participants")
        return [one for one in people.values() if isinstance(one, Mapping)] if isinstance(people, Mapping) else []

    def show_name(self, name: str) -> None:
        if not self._closed:
            self._thread.submit(self._client.set_user_name, name)

    async def _in_thread(self, call: Callable[..., object], *values: object) -> None:
        await self._loop.run_in_executor(self._thread, partial(call, *values))

    def _call_soon(self, call: Any, *values: Any) -> None:
        """Called in threads of the library, perhaps after the end of the event loop."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(call, *values)

    def _tell(self, event: str, value: Any) -> None:
        self._call_soon(self._take, event, value)

    def _take(self, event: str, value: Any) -> None:
        """An event of the library."""
        if self._closed:
            return
        match event:
            case "joined" | "left":
                self._note_person(value, came=event == "joined")
            case "error":
                self._end(room_end(str(value)), str(value))
            case "state" if value == "left" and self._joined and self._ending is None:
                self._ending = self._loop.call_later(REASON_WITHIN_S, self._end, "room_lost", "Daily has ended it")

    def _note_sent(self, position: int) -> None:
        if self._closed:
            return
        if not self._first_told:
            self._first_told = True
            self._events.first_frame_sent()
        self._events.picture_sent(position)

    def _note_person(self, person: object, *, came: bool) -> None:
        if not isinstance(person, Mapping) or not isinstance(person.get("id"), str):
            return
        info = person.get("info")
        if isinstance(info, Mapping) and info.get("isLocal"):
            return
        viewer_id = person["id"]
        if came and viewer_id not in self._viewers:
            self._viewers.add(viewer_id)
            self._events.viewer_joined(viewer_id, len(self._viewers))
        elif not came and viewer_id in self._viewers:
            self._viewers.remove(viewer_id)
            self._events.viewer_left(viewer_id, len(self._viewers))

    def _end(self, end: RoomEnd, detail: str) -> None:
        if self._joined and not self._closed:
            self._closed = True
            self._events.room_ended(end, detail)

    async def aclose(self) -> None:
        self._closed = True
        if self._ending is not None:
            self._ending.cancel()
        sending, self._sending = self._sending, None
        if sending is not None:
            sending.cancel()
        joined, self._joined = self._joined, False
        released, self._released = self._released, True
        if released:
            return
        try:
            async with asyncio.timeout(LEFT_WITHIN_S):
                if joined:
                    await self._leave()
                await self._in_thread(self._client.release)
        except TimeoutError:
            log.warning("daily_leave_timed_out")
        except Exception:  # the edge of the library: the session has ended, whatever it says
            log.exception("daily_leave_failed")
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _leave(self) -> None:
        left: asyncio.Future[str | None] = self._loop.create_future()
        await self._in_thread(partial(self._client.leave, completion=partial(self._call_soon, _settle, left)))
        await left


def _settle(future: asyncio.Future[Any], value: Any) -> None:
    if not future.done():
        future.set_result(value)


def _handler(library: Library, tell: Any) -> Any:
    """Return an event handler of the library, which passes on what the room needs."""

    class Handler(library.EventHandler):  # type: ignore[name-defined, misc]
        def on_participant_joined(self, participant: Mapping[str, Any]) -> None:
            tell("joined", participant)

        def on_participant_left(self, participant: Mapping[str, Any], reason: str) -> None:
            tell("left", participant)

        def on_error(self, message: str) -> None:
            tell("error", message)

        def on_call_state_updated(self, state: str) -> None:
            tell("state", state)

    return Handler()
