"""Messages over one connection, in both directions. Server and stage each have one link per connection."""

from __future__ import annotations

import asyncio
from collections import deque

import structlog

from visavis.errors import LinkBroken
from visavis.stage.port.connection import Connection
from visavis.stage.port.frames import Inbox, Outbox
from visavis.stage.port.messages import (
    PORT_VERSION,
    Answer,
    Held,
    Message,
    Request,
    TakenOver,
    encode,
    is_sent_in_order,
)
from visavis.stage.port.versions import known_to

MAX_UNSENT_BYTES = 128 * 1024 * 1024  # if more waits to be sent, the other end counts as disconnected

log = structlog.get_logger()


class Link:
    """Sends and receives messages. Its creator runs `run_writer` while the link is used, and closes the link.

    `send` may be called by any task and never waits. Only one task calls `receive`. `version`: of the port, that both
    ends use; set when they have agreed.
    """

    def __init__(self, connection: Connection) -> None:
        self.version = PORT_VERSION
        self._connection = connection
        self._outbox, self._inbox = Outbox(), Inbox()
        self._outbox_changed = asyncio.Event()  # set by `send` and `finish`
        self._closing = False
        self._writing = False  # `run_writer` is sending a frame
        self._overtaking = self._overtaking_sent = 0  # how many frames that overtake others, and were sent
        self._flushes: deque[tuple[int, asyncio.Future[None]]] = deque()  # until how many were sent
        self._writer_ended = False

    def send(self, message: Message) -> None:
        """Send a message. Speech, the commands that must stay in order with it, and what a stage holds of a session
        wait for their turn; all other messages overtake them.

        Raises `LinkBroken` if more than MAX_UNSENT_BYTES wait already, or for a message that is too large.
        """
        if self._outbox.unsent_bytes > MAX_UNSENT_BYTES:
            raise LinkBroken("The other end does not read")
        if self.version != PORT_VERSION:
            message = known_to(self.version, message)
        if isinstance(message, Request) and is_sent_in_order(message.command):
            self._outbox.add_in_order(encode(message), session_id=message.session_id)
        elif isinstance(message, Held):
            self._outbox.add_in_order(encode(message), session_id=message.session.spec.session_id)
        elif isinstance(message, Answer) and isinstance(message.result, TakenOver):
            self._outbox.add_in_order(encode(message), session_id=message.result.session.spec.session_id)
        else:
            self._overtaking += self._outbox.add(encode(message))
        if not self._writing and not self._closing:
            self._send_now()
        self._outbox_changed.set()

    def _send_now(self) -> None:
        """Send what can be sent without waiting, so that an interrupt and its answer do not wait for `run_writer`."""
        while (frame := self._outbox.first_overtaking) is not None and self._connection.send_now(frame):
            self._outbox.next_frame()
            self._note_sent()

    async def flush(self) -> None:
        """Wait until the system has every message so far that overtakes others: they arrive even if this process ends
        now. Returns also when the writer has ended.
        """
        through = self._overtaking
        if self._overtaking_sent < through and not self._writer_ended:
            flushed = asyncio.get_running_loop().create_future()
            self._flushes.append((through, flushed))
            await flushed
        await self._connection.flush()  # the system may have taken none of the last frame yet, or only a part

    def _note_sent(self) -> None:
        self._overtaking_sent += 1
        self._end_flushes(self._overtaking_sent)

    def _end_flushes(self, through: int) -> None:
        while self._flushes and self._flushes[0][0] <= through:
            _, flushed = self._flushes.popleft()
            if not flushed.done():
                flushed.set_result(None)

    async def receive(self) -> bytes | None:
        """Return the bytes of the next message, None at the end of the connection. Raises `LinkBroken`."""
        while (frame := await self._connection.receive()) is not None:
            body = self._inbox.take(frame)
            if body is not None:
                return body
        return None

    async def run_writer(self) -> None:
        """Send messages until the connection is over, or after `finish` until all are sent."""
        try:
            while True:
                while True:
                    overtakes = self._outbox.first_overtaking is not None
                    if (frame := self._outbox.next_frame()) is None:
                        break
                    self._writing = True
                    await self._connection.send(frame)
                    if overtakes:
                        self._note_sent()
                self._writing = False
                if self._closing:
                    return
                self._outbox_changed.clear()
                await self._outbox_changed.wait()
        except LinkBroken:
            return
        except Exception:  # the outermost edge of the writer: without it the other end would wait for ever
            log.exception("link_writer_failed")
            self.abort()
        finally:
            self._writer_ended = True
            self._end_flushes(self._overtaking)

    def finish(self) -> None:
        """Let `run_writer` return when all messages are sent."""
        self._closing = True
        self._outbox_changed.set()

    @property
    def peer_pid(self) -> int | None:
        """The process at the other end, None if the system does not tell."""
        return self._connection.peer_pid

    async def aclose(self) -> None:
        await self._connection.aclose()

    def abort(self) -> None:
        self._connection.abort()
