"""A session: where viewers watch, and how the avatar speaks."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine, Generator, Mapping, Sequence
from types import TracebackType
from typing import Any

from visavis_client.channel import AsyncChannel, Speech, Text
from visavis_client.documents import Room, SessionDocument
from visavis_client.errors import Conflict, NotFound, VisavisError
from visavis_client.events import Ended, Event
from visavis_client.transport import Transport
from visavis_client.utterance import Played, Utterance

# How long a call that was broken off may still take to leave nothing behind on the server.
CLEAN_UP_WITHIN_S = 5.0
TOLD_WITHIN_S = 2.0


class AsyncSession:
    """A started session. As a context it opens the channel, and ends the session when the context is left."""

    def __init__(
        self, transport: Transport, document: Mapping[str, Any], room: Room | None, channel: AsyncChannel
    ) -> None:
        self._transport = transport
        self.document = SessionDocument.of(document)
        self.room = room
        self.channel = channel

    @property
    def id(self) -> str:
        return self.document.id

    @property
    def watch_url(self) -> str | None:
        """The address of the page that shows the room. None in a room that is not this server's."""
        return self.room.watch_url if self.room else None

    async def __aenter__(self) -> AsyncSession:
        try:
            await self.channel.open()
        except BaseException:
            await finish_in_any_case(self.end())
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await finish_in_any_case(self.end())

    async def speak(
        self,
        speech: Speech,
        *,
        sample_rate: int | None = None,
        utterance_id: str | None = None,
        emotion: str | Mapping[str, Any] | None = None,
        phonemes: Sequence[Mapping[str, Any]] = (),
        alphabet: str | None = None,
    ) -> Played:
        """Speak and wait until it was heard, see `AsyncChannel.speak`."""
        return await self.channel.speak(
            speech,
            sample_rate=sample_rate,
            utterance_id=utterance_id,
            emotion=emotion,
            phonemes=phonemes,
            alphabet=alphabet,
        )

    async def send(
        self,
        speech: Speech,
        *,
        sample_rate: int | None = None,
        utterance_id: str | None = None,
        emotion: str | Mapping[str, Any] | None = None,
        phonemes: Sequence[Mapping[str, Any]] = (),
        alphabet: str | None = None,
    ) -> Utterance:
        """Send speech and return when it was sent, see `AsyncChannel.send`."""
        return await self.channel.send(
            speech,
            sample_rate=sample_rate,
            utterance_id=utterance_id,
            emotion=emotion,
            phonemes=phonemes,
            alphabet=alphabet,
        )

    async def say(
        self, text: Text, *, voice: str | None = None, language: str | None = None, utterance_id: str | None = None
    ) -> Played:
        """Say text and wait until it was heard, see `AsyncChannel.say`."""
        return await self.channel.say(text, voice=voice, language=language, utterance_id=utterance_id)

    async def send_text(
        self, text: Text, *, voice: str | None = None, language: str | None = None, utterance_id: str | None = None
    ) -> Utterance:
        """Send text and return when it was sent, see `AsyncChannel.send_text`."""
        return await self.channel.send_text(text, voice=voice, language=language, utterance_id=utterance_id)

    async def interrupt(self) -> None:
        """Stop the avatar now, see `AsyncChannel.interrupt`."""
        await self.channel.interrupt()

    async def set_state(self, state: str) -> None:
        """Show `listening` or `thinking`."""
        await self.channel.set_state(state)

    async def update(self, output: Mapping[str, Any]) -> Mapping[str, Any]:
        """Change background, framing or emotion, see `AsyncChannel.update`."""
        return await self.channel.update(output)

    def events(self) -> AsyncIterator[Event]:
        """Return what happens from now on; the last event is `Ended`."""
        return self.channel.events()

    async def wait_ended(self) -> Ended:
        """Wait for the end of the session. Return it with its reason."""
        return await self.channel.wait_ended()

    async def end(self) -> None:
        """End the session. May be called twice, and after the session has ended by itself."""
        try:
            await self._transport.post(f"/v1/sessions/{self.id}/end")
        except (NotFound, Conflict):
            pass  # it was deleted, or never started: there is nothing to end
        finally:
            with contextlib.suppress(TimeoutError):  # the server tells the channel why
                async with asyncio.timeout(TOLD_WITHIN_S):
                    await self.channel.closed_by_server()
            await self.channel.close()


class Opening:
    """A session that is being created. Await it for the session; or use it as a context, which opens the channel."""

    def __init__(self, create: Coroutine[Any, Any, AsyncSession]) -> None:
        self._create = create
        self._session: AsyncSession | None = None

    def __await__(self) -> Generator[Any, None, AsyncSession]:
        return self._create.__await__()

    async def __aenter__(self) -> AsyncSession:
        self._session = await self._create
        return await self._session.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._session is not None
        await self._session.__aexit__(kind, error, trace)


async def finish_in_any_case(work: Coroutine[Any, Any, None]) -> None:
    """Run `work` to its end although the task may be cancelled meanwhile; then the cancellation goes on.

    Takes at most `CLEAN_UP_WITHIN_S`. An error of the server is dropped: the session ends by itself then.
    """

    async def bounded() -> None:
        with contextlib.suppress(TimeoutError, VisavisError):
            async with asyncio.timeout(CLEAN_UP_WITHIN_S):
                await work

    task = asyncio.ensure_future(bounded())
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
