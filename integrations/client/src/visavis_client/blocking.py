"""The same client without `async`: an event loop in a thread of its own does the work."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from visavis_client.channel import Speech
from visavis_client.client import AspectRatio, AsyncVisavis
from visavis_client.documents import Avatar, Page, Room, SessionDocument
from visavis_client.events import Ended, Event
from visavis_client.session import AsyncSession
from visavis_client.transport import RETRIES, TIMEOUT_S
from visavis_client.utterance import Played, Utterance

T = TypeVar("T")


class LoopThread:
    """An event loop in a daemon thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="visavis client", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Return what the coroutine returns. Ctrl-C cancels it, and goes on when it has cleaned up."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            if not future.done():
                future.cancel()
                self._settle()
            raise

    def close(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def _settle(self) -> None:
        """Wait until all that was cancelled has ended."""

        async def others() -> None:
            tasks = {task for task in asyncio.all_tasks() if task is not asyncio.current_task() and task.cancelling()}
            if tasks:
                await asyncio.wait(tasks)

        asyncio.run_coroutine_threadsafe(others(), self._loop).result()


class Visavis:
    """The calls of one API key, without `async`; arguments as of `AsyncVisavis`. A context; or `close()` it."""

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        *,
        retries: int = RETRIES,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._client = AsyncVisavis(base_url, api_key, retries=retries, timeout_s=timeout_s)
        self._thread = LoopThread()
        self.sessions = Sessions(self._client, self._thread)
        self.avatars = Avatars(self._client, self._thread)

    @property
    def base_url(self) -> str:
        return self._client.base_url

    def __enter__(self) -> Visavis:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections. Sessions go on until their own end."""
        self._thread.run(self._client.aclose())
        self._thread.close()

    def usage(self) -> Mapping[str, Any]:
        """See `AsyncVisavis.usage`."""
        return self._thread.run(self._client.usage())

    def capacity(self) -> Mapping[str, Any]:
        """See `AsyncVisavis.capacity`."""
        return self._thread.run(self._client.capacity())


class Sessions:
    """The sessions of an account. See `AsyncSessions`."""

    def __init__(self, client: AsyncVisavis, thread: LoopThread) -> None:
        self._client = client
        self._thread = thread

    def create(
        self,
        avatar: str | Path | bytes,
        *,
        aspect_ratio: AspectRatio = "4:3",
        room: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        output: Mapping[str, Any] | None = None,
        hold_for_viewer_s: float | None = None,
        features: Sequence[str] = (),
        options: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> Session:
        """Start a session with an avatar. Use it as a context: this opens the channel, and ends the session at last."""

        async def created() -> AsyncSession:
            return await self._client.sessions.create(
                avatar,
                aspect_ratio=aspect_ratio,
                room=room,
                metadata=metadata,
                output=output,
                hold_for_viewer_s=hold_for_viewer_s,
                features=features,
                options=options,
                idempotency_key=idempotency_key,
            )

        return Session(self._thread.run(created()), self._thread)

    def get(self, session_id: str) -> SessionDocument:
        return self._thread.run(self._client.sessions.get(session_id))

    def end(self, session_id: str) -> SessionDocument:
        """End a session. May be called twice."""
        return self._thread.run(self._client.sessions.end(session_id))

    def page(
        self,
        *,
        status: str = "all",
        limit: int = 100,
        cursor: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Page:
        """Return one page of the sessions, newest first."""
        return self._thread.run(
            self._client.sessions.page(status=status, limit=limit, cursor=cursor, metadata=metadata)
        )

    def list(self, *, status: str = "all", metadata: Mapping[str, str] | None = None) -> Iterator[SessionDocument]:
        """Yield all sessions, newest first, page by page."""
        return _iterate(self._client.sessions.list(status=status, metadata=metadata), self._thread)


class Session:
    """A started session. See `AsyncSession`."""

    def __init__(self, session: AsyncSession, thread: LoopThread) -> None:
        self._session = session
        self._thread = thread

    @property
    def id(self) -> str:
        return self._session.id

    @property
    def document(self) -> SessionDocument:
        return self._session.document

    @property
    def room(self) -> Room | None:
        return self._session.room

    @property
    def watch_url(self) -> str | None:
        """The address of the page that shows the room. None in a room that is not this server's."""
        return self._session.watch_url

    @property
    def ended(self) -> Ended | None:
        """The end of the channel, None while it is open or comes back."""
        return self._session.channel.ended

    def __enter__(self) -> Session:
        self._thread.run(self._session.__aenter__())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.run(self._session.__aexit__(kind, error, trace))

    def speak(
        self,
        speech: Speech,
        *,
        sample_rate: int | None = None,
        utterance_id: str | None = None,
        emotion: str | Mapping[str, Any] | None = None,
        phonemes: Sequence[Mapping[str, Any]] = (),
        alphabet: str | None = None,
    ) -> Played:
        """Speak and wait until it was heard. See `AsyncChannel.speak`."""
        return self._thread.run(
            self._session.speak(
                speech,
                sample_rate=sample_rate,
                utterance_id=utterance_id,
                emotion=emotion,
                phonemes=phonemes,
                alphabet=alphabet,
            )
        )

    def send(
        self,
        speech: Speech,
        *,
        sample_rate: int | None = None,
        utterance_id: str | None = None,
        emotion: str | Mapping[str, Any] | None = None,
        phonemes: Sequence[Mapping[str, Any]] = (),
        alphabet: str | None = None,
    ) -> SentUtterance:
        """Send speech and return when it was sent. See `AsyncChannel.send`."""
        sent = self._session.send(
            speech,
            sample_rate=sample_rate,
            utterance_id=utterance_id,
            emotion=emotion,
            phonemes=phonemes,
            alphabet=alphabet,
        )
        return SentUtterance(self._thread.run(sent), self._thread)

    def say(
        self,
        text: str | Iterable[str],
        *,
        voice: str | None = None,
        language: str | None = None,
        utterance_id: str | None = None,
    ) -> Played:
        """Say text and wait until it was heard, or interrupted. See `AsyncChannel.say`."""
        saying = self._session.say(text, voice=voice, language=language, utterance_id=utterance_id)
        return self._thread.run(saying)

    def interrupt(self) -> None:
        """Stop the avatar now."""
        self._thread.run(self._session.interrupt())

    def set_state(self, state: str) -> None:
        """Show `listening` or `thinking`."""
        self._thread.run(self._session.set_state(state))

    def update(self, output: Mapping[str, Any]) -> Mapping[str, Any]:
        """Change background, framing or emotion."""
        return self._thread.run(self._session.update(output))

    def events(self) -> Iterator[Event]:
        """Return what happens from now on; the last event is `Ended`."""

        async def listening() -> AsyncIterator[Event]:
            return self._session.events()

        return _iterate(self._thread.run(listening()), self._thread)

    def wait_ended(self) -> Ended:
        """Wait for the end of the session. Return it with its reason."""
        return self._thread.run(self._session.wait_ended())

    def end(self) -> None:
        """End the session. May be called twice."""
        self._thread.run(self._session.end())


class SentUtterance:
    """An utterance that was sent."""

    def __init__(self, utterance: Utterance, thread: LoopThread) -> None:
        self._utterance = utterance
        self._thread = thread

    @property
    def id(self) -> str:
        return self._utterance.id

    def played(self) -> Played:
        """Wait until its last sample was played, or until it was interrupted."""
        return self._thread.run(self._utterance.played())


class Avatars:
    """The avatars of an account, and the public ones. See `AsyncAvatars`."""

    def __init__(self, client: AsyncVisavis, thread: LoopThread) -> None:
        self._client = client
        self._thread = thread

    def public(self) -> tuple[Avatar, ...]:
        """Return the public characters, newest first."""
        return self._thread.run(self._client.avatars.public())

    def list(self, *, parent_id: str | None = None, characters_only: bool = True) -> tuple[Avatar, ...]:
        """Return your own characters and the public ones; with `parent_id` the looks of a character."""
        return self._thread.run(self._client.avatars.list(parent_id=parent_id, characters_only=characters_only))

    def upload(
        self, photo: str | Path | bytes, *, name: str | None = None, points: Mapping[str, Any] | None = None
    ) -> Avatar:
        """Make an avatar from a photo. See `AsyncAvatars.upload`."""
        return self._thread.run(self._client.avatars.upload(photo, name=name, points=points))

    def report(self, avatar_id: str) -> Mapping[str, Any]:
        """Return what was found in the photo of an avatar."""
        return self._thread.run(self._client.avatars.report(avatar_id))

    def delete(self, avatar_id: str) -> None:
        """Delete an avatar with all its files."""
        self._thread.run(self._client.avatars.delete(avatar_id))


def _iterate(source: AsyncIterator[T], thread: LoopThread) -> Iterator[T]:
    async def following() -> tuple[T, ...]:
        async for value in source:
            return (value,)
        return ()

    while found := thread.run(following()):
        yield found[0]
