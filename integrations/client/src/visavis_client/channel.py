"""The channel of a session: it sends speech, and comes back by itself when its connection is lost."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import random
import time
import uuid
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from visavis_client.answers import refusal
from visavis_client.conversation import Conversation
from visavis_client.errors import (
    ChannelLost,
    ChannelRefused,
    Refused,
    ServerUnreachable,
    SessionEnded,
    TakenOver,
    VisavisError,
)
from visavis_client.event_stream import EventStream
from visavis_client.events import Connection, Ended, Event, PlaybackFinished, event_of
from visavis_client.reconnects import FINAL_CODES, Reconnects
from visavis_client.retries import wait_before_retry_s
from visavis_client.sound import Sound, checked_rate, pieces_of, pieces_of_iterable, read_sound
from visavis_client.utterance import Played, Utterance

Text = str | Iterable[str] | AsyncIterable[str]
Speech = str | Path | bytes | Sound | Iterable[bytes] | AsyncIterable[bytes]

FEATURES = ("playback", "resume", "queued", "lifecycle", "state")
PIECE_S = 0.25
MAX_TEXT_CHARACTERS = 8192  # in one message
# Speech is sent this far ahead of what is heard. The server takes 600 s; less is in flight when an interrupt comes.
AHEAD_S = 30.0
# What the server has not acknowledged: beyond 4 MiB it can no longer resume.
KEPT_CHARACTERS = 2_000_000
ACKNOWLEDGE_EVERY_S = 1.0
OPEN_WITHIN_S = 20.0
# A session waits 10 s for its channel, and its stage 15 s for a server that has died.
RECONNECT_WITHIN_S = 30.0
CLOSED_WITHIN_S = 2.0
ASLEEP_S = 3.0  # longer than a clock is set by
ALIVE_WITHIN_S = 0.5  # the other end answers by itself; a connection that was replaced in vain loses nothing
REFUSE_SPEECH = frozenset({"INVALID_AUDIO", "INVALID_SAMPLE_RATE", "INVALID_TEXT", "QUEUE_FULL", "INVALID_MESSAGE"})
REFUSE_UPDATE = frozenset(
    {"INVALID_OUTPUT", "INVALID_BACKGROUND", "INVALID_FRAMING", "UPDATE_PENDING", "NO_CAPACITY", "PREPARATION_FAILED"}
    | {"STORAGE_UNUSABLE", "IMAGE_UNREADABLE", "IMAGE_URL_REFUSED", "IMAGE_TYPE", "IMAGE_TOO_LARGE"}
)


class AsyncChannel:
    """Open it with `open()`, or get it from a session.

    `url`: `wss://…/v1/channel`. `init`: the members of `session.init` beside `type`, `features` and `resume`.
    `features`: asked for beside those that this class needs (`metrics`, for example).
    """

    def __init__(self, url: str, init: Mapping[str, Any], *, features: Sequence[str] = ()) -> None:
        self._url = url
        self._init = dict(init)
        self._features = list(dict.fromkeys([*FEATURES, *features]))
        self._conversation = Conversation()
        self._reconnects = Reconnects()
        self._stream = EventStream()
        self._utterances: dict[str, Utterance] = {}
        self._unconfirmed: deque[tuple[Utterance, float]] = deque()  # with the seconds of each message
        self._interrupts: deque[asyncio.Future[Any]] = deque()
        self._updates: deque[asyncio.Future[Any]] = deque()
        self._turn = asyncio.Lock()  # an utterance is sent whole before the next one
        self._interrupted = 0  # how often, so that speech that waits for its turn is dropped with the rest
        self._queued_s, self._queued_at_s = 0.0, 0.0
        self._to_send = asyncio.Event()
        self._progress = asyncio.Event()  # an answer has come, or the end
        self._is_up = False
        self._reached = False  # whether a server has answered the last try
        self._opened: asyncio.Future[None] | None = None
        self._refusal: ChannelRefused | None = None  # the last error before the present connection was open
        self._ended: Ended | None = None
        self._failure: VisavisError | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def ended(self) -> Ended | None:
        """The end of this channel, None while it is open or comes back."""
        return self._ended

    async def open(self) -> None:
        """Connect. Raises `ChannelRefused`, `SessionEnded`, `TakenOver` or `ServerUnreachable`."""
        if self._task is None:
            self._opened = asyncio.get_running_loop().create_future()
            self._task = asyncio.create_task(self._run(), name="visavis channel")
        assert self._opened is not None
        await asyncio.shield(self._opened)

    async def close(self) -> None:
        """Close the connection. The session goes on for its grace period, unless it is ended. May be called twice."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        self._end("closed", ChannelLost("The channel was closed"))

    async def closed_by_server(self) -> None:
        """Wait until the channel is over. Returns at once if it was never opened."""
        if self._task is not None:
            await asyncio.wait({self._task})

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
        """Speak and wait until it was played, or interrupted.

        `speech`: a WAV (path or bytes), raw PCM16 with its `sample_rate`, or pieces of it as they come. `phonemes`: of
        the whole speech, which then is given whole. Raises `InvalidSound`, `ChannelRefused`, `ChannelLost` and
        `SessionEnded`.
        A cancelled call sends no more; what was sent is still spoken.
        """
        options = {"emotion": emotion, "phonemes": list(phonemes), "alphabet": alphabet}
        utterance = await self.send(
            speech,
            sample_rate=sample_rate,
            utterance_id=utterance_id,
            **{name: value for name, value in options.items() if value},  # type: ignore[arg-type]
        )
        return await utterance.played()

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
        """Send speech like `speak`, and return when it was sent. `await utterance.played()` waits for its end.

        Speech is sent at most 30 s ahead of what is heard: sending more waits.
        """
        whole = read_sound(speech, sample_rate) if isinstance(speech, (str, Path, bytes)) else speech
        rate_hz = whole.sample_rate_hz if isinstance(whole, Sound) else checked_rate(sample_rate)
        annotations: dict[str, Any] = {"phonemes": list(phonemes)} if phonemes else {}
        annotations |= {"alphabet": alphabet} if alphabet else {}
        annotations |= {"emotion": emotion} if emotion else {}
        utterance = Utterance(utterance_id or f"utt_{uuid.uuid4().hex}")
        interrupted = self._interrupted
        async with self._turn:
            self._check_open()
            if interrupted != self._interrupted:
                utterance.finish(0.0, interrupted=True)
                return utterance
            self._utterances[utterance.id] = utterance
            await self._send_pieces(utterance, _pieces(whole, rate_hz, is_whole=bool(phonemes)), rate_hz, annotations)
        return utterance

    async def say(
        self, text: Text, *, voice: str | None = None, language: str | None = None, utterance_id: str | None = None
    ) -> Played:
        """Say text in the voice of the server, and wait until it was heard, or interrupted. See `send_text`."""
        return await (await self.send_text(text, voice=voice, language=language, utterance_id=utterance_id)).played()

    async def send_text(
        self, text: Text, *, voice: str | None = None, language: str | None = None, utterance_id: str | None = None
    ) -> Utterance:
        """Send text, whole or in the pieces that a language model writes, and return when it was sent.

        Needs the feature `text`. `language`: such as "de". Raises `ChannelRefused`, `ChannelLost` and `SessionEnded`;
        `played` also raises `ChannelRefused` if the server cannot speak it to its end.
        """
        if "text" not in self._features:
            raise ChannelRefused('Open the channel with features=["text"]', "FEATURE_NOT_ENABLED")
        options = {name: value for name, value in (("voice", voice), ("language", language)) if value}
        utterance = Utterance(utterance_id or f"utt_{uuid.uuid4().hex}")
        interrupted = self._interrupted
        async with self._turn:
            self._check_open()
            if interrupted != self._interrupted:
                utterance.finish(0.0, interrupted=True)
                return utterance
            self._utterances[utterance.id] = utterance
            try:
                async for piece in utterance.uncut(_texts(text)):
                    for begin in range(0, len(piece), MAX_TEXT_CHARACTERS):
                        part = piece[begin : begin + MAX_TEXT_CHARACTERS]
                        self._post_text(utterance, {"text": part, "final": False, **options})
            finally:
                if not utterance.is_cut:
                    self._post_text(utterance, {"text": "", "final": True, **options})
        return utterance

    async def interrupt(self) -> None:
        """Stop the avatar now. Returns when nothing of the speech sent before is heard any more."""
        self._check_open()
        self._interrupted += 1
        for utterance in self._utterances.values():
            utterance.cut()
        confirmed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._interrupts.append(confirmed)
        self._post({"type": "agent.interrupt"})
        await confirmed

    async def set_state(self, state: str) -> None:
        """Show `listening` or `thinking`."""
        self._check_open()
        self._post({"type": "agent.state", "state": state})

    async def update(self, output: Mapping[str, Any]) -> Mapping[str, Any]:
        """Change background, framing or emotion. Return the whole output after it. Raises `ChannelRefused`."""
        self._check_open()
        updated: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._updates.append(updated)
        self._post({"type": "session.update", "output": dict(output)})
        output_now: Mapping[str, Any] = await updated
        return output_now

    def events(self) -> AsyncIterator[Event]:
        """Return what happens from now on. Ends after `Ended`, which comes once for each end and each listener."""
        return self._stream.listen()

    async def wait_ended(self) -> Ended:
        """Wait until the session, or this channel, is over."""
        if self._ended is not None:
            return self._ended
        async for event in self.events():
            if isinstance(event, Ended):
                return event
        raise AssertionError("the events of a channel end with Ended")

    # Sending

    async def _send_pieces(
        self, utterance: Utterance, pieces: AsyncIterator[bytes], rate_hz: int, annotations: dict[str, Any]
    ) -> None:
        """Send an utterance up to its end. However it ends, the server learns that no more comes."""
        has_begun = False
        try:
            async for piece in utterance.uncut(pieces):
                await self._wait_for_room(utterance)
                if utterance.is_cut:
                    break
                if piece:
                    self._post_speech(utterance, piece, rate_hz, annotations)
                    has_begun, annotations = True, {name: v for name, v in annotations.items() if name == "emotion"}
        finally:
            if has_begun and not utterance.is_cut:
                self._post_speech(utterance, b"", rate_hz, {"final": True})
            elif not has_begun:
                self._utterances.pop(utterance.id, None)
                utterance.finish(0.0, interrupted=utterance.is_cut)

    def _post_speech(self, utterance: Utterance, pcm: bytes, rate_hz: int, annotations: Mapping[str, Any]) -> None:
        audio = base64.b64encode(pcm).decode()
        message = {"type": "agent.speak", "audio": audio, "sample_rate": rate_hz, "utterance_id": utterance.id}
        utterance.last_number = self._post({**message, **annotations})
        self._unconfirmed.append((utterance, len(pcm) / 2 / rate_hz))

    def _post_text(self, utterance: Utterance, members: Mapping[str, Any]) -> None:
        utterance.last_number = self._post({"type": "agent.say", "utterance_id": utterance.id, **members})
        self._unconfirmed.append((utterance, 0.0))

    def _post(self, message: Mapping[str, Any]) -> int:
        number = self._conversation.push(json.dumps(message))
        self._to_send.set()
        return number

    async def _wait_for_room(self, utterance: Utterance) -> None:
        """Wait until less than `AHEAD_S` of speech waits to be heard, and until the server has taken most of it."""
        loop = asyncio.get_running_loop()
        while not utterance.is_cut:
            sent_s = sum(seconds for _, seconds in self._unconfirmed)
            known_s = max(self._queued_s - (loop.time() - self._queued_at_s), 0.0)
            if sent_s + known_s < AHEAD_S and self._conversation.kept_size < KEPT_CHARACTERS:
                return
            if not self._unconfirmed:
                self._post_speech(utterance, b"", 16_000, {})  # asks how much is queued, and changes nothing
            self._progress.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await self._progress.wait()
            if known_s >= AHEAD_S and not utterance.is_cut:
                await asyncio.sleep(min(known_s - AHEAD_S + PIECE_S, 1.0))

    # The connection

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        away_since_s = loop.time()
        try:
            while self._ended is None:
                begun_s = loop.time()
                self._reconnects.tries(begun_s)
                failure = await self._connect()
                lasted_s = loop.time() - begun_s if self._is_up else 0.0
                if self._is_up:
                    self._is_up, away_since_s = False, loop.time()
                    if self._ended is None:
                        self._stream.emit(Connection(up=False))
                self._reconnects.lost(lasted_s=lasted_s, reached=self._reached)
                asked_s = failure.retry_after_s if isinstance(failure, Refused) else None
                wait_s = self._reconnects.wait_s(loop.time(), random.random(), asked_s=asked_s)
                if loop.time() + wait_s > away_since_s + RECONNECT_WITHIN_S:
                    self._end("channel_lost", failure)
                elif self._ended is None:
                    await asyncio.sleep(wait_s)
        except Exception as error:
            self._end("client_failed", VisavisError(f"{type(error).__name__}: {error}"))
            raise

    async def _connect(self) -> VisavisError:
        """Hold one connection until it is lost. Return why. The end of the channel is taken here, too."""
        self._refusal, self._reached = None, False
        try:
            async with asyncio.timeout(OPEN_WITHIN_S):
                socket = await connect(self._url, max_size=None, compression=None)
            self._reached = True
            async with socket:
                await self._converse(socket)
        except ConnectionClosed as closed:
            self._take_close(closed)
            return ServerUnreachable(f"The channel was closed: {closed}")
        except InvalidURI as error:
            self._end("unreachable", ServerUnreachable(str(error)))
        except InvalidStatus as error:
            self._reached, answer = True, error.response
            headers = {name.lower(): value for name, value in answer.headers.raw_items()}
            refused = refusal(answer.status_code, headers, bytes(answer.body or b""))
            if wait_before_retry_s(refused, 1, 0.0) is None:
                self._end("refused", refused)
            return refused
        except (OSError, InvalidHandshake, TimeoutError) as error:
            self._reached = self._reached or isinstance(error, InvalidHandshake)
            return self._refusal or ServerUnreachable(f"No connection to {self._url}: {error or 'timed out'}")
        return ServerUnreachable(f"No connection to {self._url}")

    async def _converse(self, socket: ClientConnection) -> None:
        """Open the session on a connection, then send and read until it is lost."""
        await self._open_session(socket)
        writer = asyncio.create_task(self._write(socket))
        acknowledger = asyncio.create_task(self._acknowledge(socket))
        try:
            while True:
                self._take(_parsed(await socket.recv()))
        finally:
            for task in (writer, acknowledger):
                task.cancel()
            await asyncio.gather(writer, acknowledger, return_exceptions=True)

    async def _open_session(self, socket: ClientConnection) -> None:
        was_open = self._opened is not None and self._opened.done()
        init: dict[str, Any] = {"type": "session.init", **self._init, "features": self._features}
        if was_open:
            init["resume"] = {"received": self._conversation.received}
        await socket.send(json.dumps(init))
        async with asyncio.timeout(OPEN_WITHIN_S) as limit:
            while (message := _parsed(await socket.recv())).get("type") != "connection.established":
                if message.get("type") == "error":  # mostly the server closes next
                    self._refusal = ChannelRefused(str(message.get("error")), str(message.get("code") or ""))
                    limit.reschedule(asyncio.get_running_loop().time() + CLOSED_WITHIN_S)
        resumed = bool(message.get("resumed"))
        if resumed:
            self._conversation.resume(int(message.get("received") or 0))
        elif was_open:
            self._lose_conversation()
        self._is_up = True
        self._stream.emit(Connection(up=True, resumed=resumed))
        self._to_send.set()
        if self._opened is not None and not self._opened.done():
            self._opened.set_result(None)

    def _lose_conversation(self) -> None:
        """The server remembers nothing of what it has not confirmed. What it took is still spoken, and finishes."""
        lost = ChannelLost("The connection was lost, and the server does not know what it had taken")
        for utterance in list(self._utterances.values()):
            if not self._conversation.is_taken(utterance.last_number):
                self._drop(utterance, lost)
        self._unconfirmed.clear()
        for waiting in (*self._interrupts, *self._updates):
            if not waiting.done():
                waiting.set_exception(lost)
        self._interrupts.clear()
        self._updates.clear()
        self._conversation.begin_anew()
        for utterance in self._utterances.values():
            utterance.last_number = 0

    async def _write(self, socket: ClientConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                self._to_send.clear()
                while (text := self._conversation.next_unsent()) is not None:
                    await socket.send(text)
                await self._to_send.wait()

    async def _acknowledge(self, socket: ClientConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            asleep_s = _asleep_s()
            while True:
                await asyncio.sleep(ACKNOWLEDGE_EVERY_S)
                asleep_s, before_s = _asleep_s(), asleep_s
                if asleep_s - before_s > ASLEEP_S:
                    await _check_alive(socket)
                if (number := self._conversation.due_acknowledgement()) is not None:
                    await socket.send(json.dumps({"type": "ack", "seq": number}))

    # What the server says

    def _take(self, message: Mapping[str, Any]) -> None:
        if not self._conversation.arrived(message):
            return
        match message.get("type"):
            case "agent.speak.confirmed" | "agent.say.confirmed":
                self._confirmed(message)
            case "agent.interrupt.confirmed":
                _answer(self._interrupts, None)
            case "session.updated":
                _answer(self._updates, message.get("output") or {})
            case "error" if "utterance_id" in message:
                failed = self._utterances.get(str(message["utterance_id"]))
                if failed is not None:
                    self._drop(failed, ChannelRefused(str(message.get("error")), str(message.get("code") or "")))
                self._stream.emit(event_of(message))
            case "error":
                self._refused(str(message.get("error")), str(message.get("code") or ""))
                self._stream.emit(event_of(message))
            case _:
                event = event_of(message)
                if isinstance(event, PlaybackFinished) and event.utterance_id in self._utterances:
                    utterance = self._utterances.pop(event.utterance_id)
                    utterance.finish(event.position_s, interrupted=event.interrupted)
                self._stream.emit(event)
        self._progress.set()

    def _confirmed(self, message: Mapping[str, Any]) -> None:
        if self._unconfirmed:
            self._unconfirmed.popleft()
        queued_s = message.get("queued_s")
        if isinstance(queued_s, (int, float)):
            self._queued_s, self._queued_at_s = float(queued_s), asyncio.get_running_loop().time()

    def _refused(self, text: str, code: str) -> None:
        error = ChannelRefused(text, code)
        if code in REFUSE_SPEECH and self._unconfirmed:
            utterance, _ = self._unconfirmed.popleft()
            self._drop(utterance, error)
        elif self._updates and (code in REFUSE_UPDATE or code == "INVALID_EMOTION"):
            waiting = self._updates.popleft()
            if not waiting.done():
                waiting.set_exception(error)

    def _drop(self, utterance: Utterance, error: VisavisError) -> None:
        self._utterances.pop(utterance.id, None)
        utterance.fail(error)

    # The end

    def _take_close(self, closed: ConnectionClosed) -> None:
        """Take the server's close: after a final one this channel is over."""
        code, reason = (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else (1006, "")
        if code not in FINAL_CODES:
            return
        if code == 4409:
            self._end("taken_over", TakenOver())
        elif code == 1000:
            self._end(reason or "ended", SessionEnded(reason or "ended"))
        elif code == 4410:
            reason = reason if reason.isidentifier() else "session_ended"  # not every server tells it
            self._end(reason, SessionEnded(reason))
        else:
            refused = self._refusal or ChannelRefused(reason or "The server has closed the channel", f"close {code}")
            self._end("refused", refused)

    def _end(self, reason: str, error: VisavisError) -> None:
        if self._ended is not None:
            return
        self._ended = Ended(reason=reason)
        self._failure = error
        for utterance in list(self._utterances.values()):
            self._drop(utterance, error)
        for waiting in (*self._interrupts, *self._updates):
            if not waiting.done():
                waiting.set_exception(error)
        if self._opened is not None and not self._opened.done():
            self._opened.set_exception(error)
            self._opened.exception()  # whoever awaits `open` still gets it
        self._stream.emit(self._ended)
        self._progress.set()

    def _check_open(self) -> None:
        if self._ended is not None:
            raise self._failure or SessionEnded(self._ended.reason)
        if self._task is None:
            raise ChannelLost("The channel is not open: call open() first")


def _asleep_s() -> float:
    """Return a number that grows while the machine sleeps: only one of the two clocks goes on then."""
    return time.time() - asyncio.get_running_loop().time()


async def _check_alive(socket: ClientConnection) -> None:
    """Close a connection that has not survived the machine's sleep: nothing else would tell for half a minute."""
    try:
        async with asyncio.timeout(ALIVE_WITHIN_S):
            await (await socket.ping())
    except TimeoutError:
        socket.transport.abort()


def _pieces(speech: Any, rate_hz: int, *, is_whole: bool) -> AsyncIterator[bytes]:
    if isinstance(speech, Sound):
        size = len(speech.pcm) if is_whole else round(PIECE_S * rate_hz) * 2
        return pieces_of(speech.pcm, max(size, 2))
    if isinstance(speech, AsyncIterable):
        return aiter(speech)
    return pieces_of_iterable(speech)


def _texts(text: Text) -> AsyncIterator[str]:
    if isinstance(text, AsyncIterable):
        return aiter(text)
    return _texts_of_iterable([text] if isinstance(text, str) else text)


async def _texts_of_iterable(texts: Iterable[str]) -> AsyncIterator[str]:
    for one in texts:
        yield one
        await asyncio.sleep(0)


def _answer(waiting: deque[asyncio.Future[Any]], value: Any) -> None:
    """Give the answer to whoever has waited longest, unless that call was cancelled."""
    if waiting and not (first := waiting.popleft()).done():
        first.set_result(value)


def _parsed(text: str | bytes) -> Mapping[str, Any]:
    """Return a message; an empty one for what is no message, which is ignored."""
    try:
        message = json.loads(text)
    except ValueError:
        return {}
    return message if isinstance(message, dict) else {}
