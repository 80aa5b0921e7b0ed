"""Messages over one connection, in both directions. Each end of the port has one for every connection."""

from __future__ import annotations

import asyncio

from visavis.errors import LinkBroken
from visavis.stage.port.connection import Connection
from visavis.stage.port.frames import Inbox, Outbox
from visavis.stage.port.messages import IN_ORDER, Message, Request, encode

MAX_UNSENT_BYTES = 128 * 1024 * 1024  # another end that has taken nothing of so much is not there any more


class Link:
    """Sends and receives messages. Whoever makes a link runs `run_writer` as long as the link is used, and closes it.

    `send` may be called from anywhere in the event loop and never waits. `receive` is for one task.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._outbox, self._inbox = Outbox(), Inbox()
        self._waiting = asyncio.Event()  # something is to be sent
        self._closing = False

    def send(self, message: Message) -> None:
        """Send a message: speech and what must stay in order with it in its turn, all else before it.

        Raises `LinkBroken` when the other end has not taken MAX_UNSENT_BYTES.
        """
        if self._outbox.unsent_bytes > MAX_UNSENT_BYTES:
            raise LinkBroken("The other end takes nothing")
        if isinstance(message, Request) and isinstance(message.command, IN_ORDER):
            self._outbox.add_in_order(encode(message), session_id=message.session_id)
        else:
            self._outbox.add(encode(message))
        self._waiting.set()

    async def receive(self) -> bytes | None:
        """Return the next message's bytes, None at the end of the connection. Raises `LinkBroken`."""
        while (frame := await self._connection.receive()) is not None:
            body = self._inbox.take(frame)
            if body is not None:
                return body
        return None

    async def run_writer(self) -> None:
        """Send what waits, until the connection is over or, after `finish`, nothing waits any more."""
        try:
            while True:
                while (frame := self._outbox.next_frame()) is not None:
                    await self._connection.send(frame)
                if self._closing:
                    return
                self._waiting.clear()
                await self._waiting.wait()
        except LinkBroken:
            return

    def finish(self) -> None:
        """Let `run_writer` return once everything has been sent."""
        self._closing = True
        self._waiting.set()

    async def aclose(self) -> None:
        await self._connection.aclose()

    def abort(self) -> None:
        self._connection.abort()
