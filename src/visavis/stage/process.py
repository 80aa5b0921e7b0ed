"""The stage process: performs the sessions that the service gives it over one link, and dies with it.

Started as `python -m visavis.stage.process --link FD` by the fleet. It knows no accounts, no database and no HTTP, and
imports none of them.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ctypes
import gc
import json
import signal
import socket
import sys
import time
from functools import partial
from pathlib import Path

import structlog

from visavis import errors
from visavis.engine.output import Output
from visavis.errors import OfferRefused, PackUnreadable, PerformerLost, VisavisError
from visavis.rooms.opening import open_room
from visavis.rooms.port import ViewerEntrance
from visavis.rooms.spec import EmbeddedRoomSpec, IceServer
from visavis.stage import messages
from visavis.stage.messages import (
    Attend,
    Done,
    Dress,
    End,
    Failed,
    Hush,
    Interrupt,
    Message,
    Offer,
    Open,
    Ready,
    RemoveViewer,
    Resize,
    Speak,
    StreamMotion,
    read_message,
)
from visavis.stage.parts import BUILT_IN, Avatar, Parts, load_parts
from visavis.stage.show import Camera, Show

log = structlog.get_logger("visavis.stage")
KEPT_AVATARS = 1  # shown by nobody, the latest: the next session is most often of the same
END_WITHIN_S = 2.0
MAX_UNSENT_BYTES = 16 * 1024 * 1024  # a service that takes nothing for so long is not there any more


class _LinkClosed(Exception):
    """Ends the stage's tasks when the service is gone."""


class Stage:
    """Every session of this process, and the link to the service."""

    def __init__(
        self,
        *,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        parts: Parts,
        ice_servers: tuple[IceServer, ...],
        pictures_dir: Path | None = None,
    ) -> None:
        self._reader, self._writer = reader, writer
        self._pictures_dir = pictures_dir
        self._parts, self._ice_servers = parts, ice_servers
        self._shows: dict[str, Show] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._avatars: dict[str, tuple[Avatar, set[str]]] = {}  # by pack path, with the sessions that show it

    async def run(self) -> None:
        """Serve the link until its other end closes."""
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tell(Ready())
                while (message := await read_message(self._reader)) is not None:
                    tasks.create_task(self._answer(message, tasks))
                async with asyncio.timeout(END_WITHIN_S):
                    for session_id in list(self._shows):
                        await self._end(session_id)
                raise _LinkClosed
        except* (_LinkClosed, TimeoutError):
            pass

    def _tell(self, message: Message) -> None:
        if self._writer.transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            raise PerformerLost("The service does not listen")
        self._writer.write(messages.pack(message))

    async def _answer(self, message: Message, tasks: asyncio.TaskGroup) -> None:
        """Do what is asked and say so: the outermost edge of a request. Up to its first await, requests run in the
        order in which they came.
        """
        request: int = message.request  # type: ignore[attr-defined]
        try:
            self._tell(Done(request=request, answer=await self._do(message, tasks)))
        except VisavisError as error:
            self._tell(_failed(request, error))
        except Exception as error:
            log.exception("request_failed", kind=message.kind)
            self._tell(_failed(request, PerformerLost(f"The stage failed: {error!r}")))

    async def _do(self, message: Message, tasks: asyncio.TaskGroup) -> str:
        if isinstance(message, Open):
            await self._open(message, tasks)
            return ""
        if isinstance(message, End):
            await self._end(message.session_id)
            return ""
        assert isinstance(
            message, Speak | Interrupt | Hush | Resize | Dress | Attend | StreamMotion | Offer | RemoveViewer
        )
        show = self._shows.get(message.session_id)
        if show is None or show.room is None:
            raise PerformerLost("This session is not performed here any more")
        match message:
            case Speak():
                return show.speak(message)
            case Interrupt():
                await show.interrupt()
            case Hush():
                show.hush(message.on)
            case Resize():
                await show.resize(width_px=message.width_px, height_px=message.height_px)
            case Dress():
                await show.dress(Output.from_plain(message.output))
            case Attend():
                show.attend(message.state)
            case StreamMotion():
                show.stream_motion(message.on)
            case Offer():
                return await _entrance(show).offer(viewer_id=message.viewer_id, sdp=message.sdp)
            case RemoveViewer():
                return "yes" if await _entrance(show).remove_viewer(message.viewer_id) else ""
        return ""

    async def _open(self, message: Open, tasks: asyncio.TaskGroup) -> None:
        session_id = message.session_id
        assert session_id not in self._shows, session_id  # the fleet ends a session no earlier than it is open
        try:
            avatar = await self._avatar(message.pack_path, session_id)
            output = Output.from_plain(message.output)
            find_picture = partial(self._find_picture, session_id)
            camera = await asyncio.to_thread(
                Camera.set_up,
                avatar,
                width_px=message.width_px,
                height_px=message.height_px,
                fps=message.fps,
                output=output,
                image=find_picture(output),
            )
            show = Show(
                session_id=session_id,
                avatar=avatar,
                camera=camera,
                output=output,
                find_picture=find_picture,
                parts=self._parts,
                fps=message.fps,
                seed=message.seed,
                tell=self._tell,
            )
            show.enter(
                await open_room(
                    EmbeddedRoomSpec(), show, wall_clock_at_start_ns=time.time_ns(), ice_servers=self._ice_servers
                )
            )
        except BaseException:
            self._put_away(session_id)
            raise
        self._shows[session_id] = show
        self._running[session_id] = tasks.create_task(self._perform(show))

    def _find_picture(self, session_id: str, output: Output) -> Path | None:
        """Return the file of the picture behind the person, None where there is none."""
        if output.backdrop.picture_id is None or self._pictures_dir is None:
            return None
        return self._pictures_dir / session_id / f"{output.backdrop.picture_id}.jpg"

    async def _perform(self, show: Show) -> None:
        """Run one session: its failure is its own."""
        try:
            await show.run()
        except Exception as error:
            log.exception("performance_failed", session_id=show.session_id)
            self._tell(messages.PerformanceLost(session_id=show.session_id, detail=repr(error)))
            await self._end(show.session_id, cancel=False)

    async def _avatar(self, pack_path: str, session_id: str) -> Avatar:
        if pack_path not in self._avatars:
            try:
                avatar = await asyncio.to_thread(self._parts.load_avatar, Path(pack_path))
            except VisavisError:
                raise
            except Exception as error:
                raise PackUnreadable(f"The avatar pack cannot be read: {error!r}") from error
            self._avatars.setdefault(pack_path, (avatar, set()))
        avatar, shown_by = self._avatars[pack_path] = self._avatars.pop(pack_path)  # to the end: the latest
        shown_by.add(session_id)
        return avatar

    async def _end(self, session_id: str, *, cancel: bool = True) -> None:
        show = self._shows.pop(session_id, None)
        if show is None:
            return
        running = self._running.pop(session_id)
        if cancel:
            running.cancel()
        await show.leave()
        self._put_away(session_id)
        del show, running
        await asyncio.sleep(0)  # the session's tasks take their leave
        await asyncio.to_thread(_give_memory_back)

    def _put_away(self, session_id: str) -> None:
        """This session shows its avatar no more; of those that no session shows, the latest stays in memory."""
        for _, shown_by in self._avatars.values():
            shown_by.discard(session_id)
        resting = [pack_path for pack_path, (_, shown_by) in self._avatars.items() if not shown_by]
        for pack_path in resting[:-KEPT_AVATARS]:
            del self._avatars[pack_path]


def _give_memory_back() -> None:
    """Free what an ended session held: pictures are few objects but many megabytes, which the collector's counting does
    not see.
    """
    gc.collect()
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # another libc than glibc
            ctypes.CDLL(None).malloc_trim(0)


def _entrance(show: Show) -> ViewerEntrance:
    if show.room is None or show.room.entrance is None:
        raise OfferRefused("This session's room admits its viewers itself")
    return show.room.entrance


def _failed(request: int, error: VisavisError) -> Failed:
    name = type(error).__name__
    assert hasattr(errors, name), name
    return Failed(request=request, error=name, message=error.message, code=error.code, suggestion=error.suggestion)


async def _serve(link_fd: int, parts: Parts, ice_servers: tuple[IceServer, ...], pictures_dir: Path | None) -> None:
    reader, writer = await asyncio.open_connection(sock=socket.socket(fileno=link_fd))
    try:
        await Stage(reader=reader, writer=writer, parts=parts, ice_servers=ice_servers, pictures_dir=pictures_dir).run()
    finally:
        writer.close()


def main() -> None:
    """Run a stage on the link inherited as a file descriptor."""
    arguments = argparse.ArgumentParser(prog="visavis.stage.process")
    arguments.add_argument("--link", type=int, required=True, help="file descriptor of the socket to the service")
    arguments.add_argument(
        "--parts", default=BUILT_IN, help="module:function that gives the renderer and the speech-to-motion"
    )
    arguments.add_argument("--pictures", type=Path, help="folder with a folder of background pictures a session")
    arguments.add_argument("--ice-servers", default="[]", help="JSON: [[url, username, credential], ...]")
    given = arguments.parse_args()
    # Ctrl-C goes to the service, which ends its stages by closing their links
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # no locals: no speech
    renderer = structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
    )
    processors: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        renderer,
    ]
    structlog.configure(processors=processors, logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    ice_servers = tuple(
        IceServer(url=url, username=username, credential=credential)
        for url, username, credential in json.loads(given.ice_servers)
    )
    parts = load_parts(given.parts)
    gc.collect()
    gc.freeze()  # what is loaded now stays: later collections pass it by and take a millisecond
    asyncio.run(_serve(given.link, parts, ice_servers, given.pictures))


if __name__ == "__main__":
    main()
