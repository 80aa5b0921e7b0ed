"""The channel over WebSocket: reads frames, feeds the protocol, performs what it asks, forwards what the session tells.

    app.include_router(channel_router(live))

serves `/v1/channel` and `/v1/channel/{session_id}`. What is accepted, refused and answered is decided in protocol.py;
who may attach, in `LiveSessions`. A frame with neither text nor bytes is a text frame that was no UTF-8 (server.py).
The server in front should take messages of up to WS_MAX_SIZE_BYTES, so that one that is a little too large is told so
before it is closed with 1009.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import anyio
import structlog
from anyio.abc import TaskGroup
from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from visavis.channel.port import AttachedSession, LiveSessions
from visavis.channel.protocol import INIT_TIMEOUT_S, ChannelProtocol, ChannelState
from visavis.channel.read_ahead import ReadAhead
from visavis.channel.steps import Attach, Close, Effect, Interrupt, Send, SetState, Speak, Step, Update
from visavis.errors import CloseCode, PerformerLost, VisavisError

WS_MAX_SIZE_BYTES = 16 * 1024 * 1024  # above client_message.MAX_TEXT_CHARS; uvicorn's `ws_max_size`
MAX_UNDER_WAY = 32  # messages of speech on their way to the performer; then the client is not read
LARGE_BYTES = 256 * 1024  # a message larger than this goes its way alone
# shorter than a keepalive's 20 s: a client that has sent on is not read meanwhile, its pongs neither
EFFECT_TIMEOUT_S = 18.0
UPDATE_TIMEOUT_S = 60.0  # a picture may be fetched and decoded, behind others
SEND_TIMEOUT_S = 30.0  # a client that takes nothing for so long is gone
DETACH_TIMEOUT_S = 5.0

Tell = Callable[[], list[Step]]  # tells the protocol the outcome of an effect; returns what is to be done then

log = structlog.get_logger()


def channel_router(
    live: LiveSessions, *, init_timeout_s: float = INIT_TIMEOUT_S, effect_timeout_s: float = EFFECT_TIMEOUT_S
) -> APIRouter:
    """Return the two channel addresses over `live`."""
    router = APIRouter()

    @router.websocket("/v1/channel")
    async def channel(websocket: WebSocket) -> None:
        await _Connection(websocket, live, None, init_timeout_s, effect_timeout_s).run()

    @router.websocket("/v1/channel/{session_id}")
    async def session_channel(websocket: WebSocket, session_id: str) -> None:
        await _Connection(websocket, live, session_id, init_timeout_s, effect_timeout_s).run()

    return router


class _Gone(Exception):
    """The client has left, or takes nothing any more."""


@dataclass(slots=True)
class _EarlyInterrupt:
    """An interrupt that was sent to the session before its turn. `error` is set before `done` where it failed."""

    done: anyio.Event = field(default_factory=anyio.Event)
    error: Exception | None = None


@dataclass(slots=True)
class _Connection:
    """One client's connection: a task reads, a task forwards events, and each effect is a task, all answering in their
    order.
    """

    websocket: WebSocket
    live: LiveSessions
    path_session_id: str | None
    init_timeout_s: float
    effect_timeout_s: float
    session: AttachedSession | None = None  # set when attached
    close_code: CloseCode | None = None  # set when we close
    has_left: bool = False  # set when a frame could not be sent
    protocol: ChannelProtocol = field(init=False)
    lock: anyio.Lock = field(default_factory=anyio.Lock)  # frames leave in the order in which the protocol gave them
    ahead: ReadAhead = field(init=False)
    early: dict[int, _EarlyInterrupt] = field(default_factory=dict)  # by the number of their frames
    tasks: TaskGroup = field(init=False)
    under_way: anyio.Semaphore = field(default_factory=lambda: anyio.Semaphore(MAX_UNDER_WAY))
    # replaced by each effect: set when it and all before it have been answered
    answered: anyio.Event = field(default_factory=anyio.Event)

    def __post_init__(self) -> None:
        self.protocol = ChannelProtocol(path_session_id=self.path_session_id)
        self.ahead = ReadAhead(self.websocket.receive, self._interrupt_read)
        self.answered.set()

    async def run(self) -> None:
        """Hold the conversation until either side closes; always leaves the session detached."""
        await self.websocket.accept()
        try:
            async with anyio.create_task_group() as self.tasks:
                self.tasks.start_soon(self.ahead.run)
                await self._converse()
                self.tasks.cancel_scope.cancel()
        except* _Gone:
            pass
        finally:
            self.protocol.peer_closed()
            if self.session is not None:
                with anyio.CancelScope(shield=True), anyio.move_on_after(DETACH_TIMEOUT_S):
                    await self.session.detach()
                closed_with = None if self.close_code is None else self.close_code.value
                log.info("channel_closed", session_id=self.session.session_id, close_code=closed_with)

    async def _converse(self) -> None:
        deadline_s = anyio.current_time() + self.init_timeout_s
        while self.close_code is None:
            if self.protocol.state is ChannelState.CLOSING:
                await self.answered.wait()
                continue
            try:
                outputs = await self._read(deadline_s)
            except _Gone:
                self.protocol.peer_closed()
                await self.answered.wait()  # what the client sent before it left is taken
                raise
            await self._perform(outputs)

    async def _read(self, deadline_s: float) -> list[Step]:
        """Take the next frame into the protocol, or the passing of `deadline_s` where no session is open by then;
        return what is to be done.
        """
        if not self.protocol.awaiting_init:
            return await self._take_frame()
        if anyio.current_time() < deadline_s:  # frames that wait already are taken without a wait that could time out
            with anyio.CancelScope(deadline=deadline_s):
                return await self._take_frame()
        return self.protocol.init_timed_out()

    async def _take_frame(self) -> list[Step]:
        frame, number = await self.ahead.next()
        if frame["type"] == "websocket.disconnect":
            raise _Gone
        if frame.get("text") is not None:
            return self.protocol.receive_text(frame["text"], number)
        if frame.get("bytes") is None:
            return self.protocol.receive_no_text()
        return self.protocol.receive_binary(frame["bytes"], number)

    def _interrupt_read(self, number: int) -> None:
        """Send an interrupt at once, whatever stands before it; it is answered in its turn."""
        if self.session is not None and len(self.early) < MAX_UNDER_WAY:
            early = self.early[number] = _EarlyInterrupt()
            self.tasks.start_soon(self._interrupt_early, self.session, number, early)

    async def _interrupt_early(self, session: AttachedSession, number: int, early: _EarlyInterrupt) -> None:
        try:
            await session.interrupt(through=number)
        except Exception as error:  # noqa: BLE001  # raised again in its turn
            early.error = error
        finally:
            early.done.set()

    async def _perform(self, outputs: list[Step]) -> None:
        """Say what is to be said, and set the effect on its way. An attachment is waited for, and so is a large
        message.
        """
        await self._send([output for output in outputs if isinstance(output, Send | Close)])
        if not outputs or isinstance(outputs[-1], Send | Close):
            return
        effect = outputs[-1]
        if isinstance(effect, Update):
            self.tasks.start_soon(self._update, effect)
            return
        await self.under_way.acquire()
        before, self.answered = self.answered, anyio.Event()
        self.tasks.start_soon(self._carry_out, effect, before, self.answered)
        if isinstance(effect, Attach) or (isinstance(effect, Speak) and len(effect.speech.pcm) > LARGE_BYTES):
            await self.answered.wait()
        if isinstance(effect, Attach) and self.session is not None:
            log.info("channel_opened", session_id=self.session.session_id)
            self.tasks.start_soon(self._forward, self.session, self.tasks.cancel_scope)

    async def _carry_out(self, effect: Effect, before: anyio.Event, after: anyio.Event) -> None:
        """Do one effect, and tell its outcome when those of all before it have been told. `after` is set then, whatever
        happens.
        """
        try:
            tell = await self._outcome(effect, self.protocol.refused, timeout_s=self.effect_timeout_s)
            await before.wait()
            await self._send(tell())
        finally:
            after.set()
            self.under_way.release()

    async def _update(self, effect: Update) -> None:
        """Have the session look otherwise, and tell its outcome whenever it comes."""
        tell = await self._outcome(effect, self.protocol.update_refused, timeout_s=UPDATE_TIMEOUT_S)
        await self._send(tell())

    async def _outcome(
        self, effect: Effect, refused: Callable[[VisavisError], list[Step]], *, timeout_s: float
    ) -> Tell:
        """Do one effect; return what tells the protocol how that went, be it by `refused` or as a failure of ours."""
        try:
            with anyio.fail_after(timeout_s):
                return await self._affect(effect)
        except VisavisError as error:
            return partial(refused, error)
        except TimeoutError:
            log.error("channel_effect_timed_out", effect=type(effect).__name__)
            return partial(
                refused, PerformerLost("The avatar does not answer", suggestion="Try again, or start a new session")
            )
        except Exception:  # the outermost edge of a channel
            log.exception("channel_effect_failed", effect=type(effect).__name__)
            return self.protocol.failed

    async def _affect(self, effect: Effect) -> Tell:
        """Do one thing to the session; return what tells the protocol that it is done. Raises what the ports of
        channel/port.py raise.
        """
        if isinstance(effect, Attach):
            self.session = await self.live.attach(effect.init)
            return self.protocol.attached
        assert self.session is not None
        match effect:
            case Update():
                return partial(self.protocol.updated, await self.session.update(effect.change))
            case Speak():
                await self.session.speak(effect.speech)
            case SetState():
                await self.session.set_state(effect.state)
            case Interrupt():
                await self._interrupt(self.session, effect.through)
        return self.protocol.done

    async def _interrupt(self, session: AttachedSession, number: int) -> None:
        """Interrupt the session, or wait for the interrupt that was sent early."""
        early = self.early.pop(number, None)
        if early is None:
            await session.interrupt(through=number)
            return
        await early.done.wait()
        if early.error is not None:
            raise early.error

    async def _forward(self, session: AttachedSession, conversation: anyio.CancelScope) -> None:
        """Pass the session's events on until it is over, which ends the conversation."""
        try:
            async for event in session.events():
                await self._send(self.protocol.session_event(event))
                if self.close_code is not None:
                    break
            else:
                raise AssertionError("the session's events ended without SessionOver or TakenOver")
        except _Gone:
            pass
        except Exception:  # the outermost edge of a channel
            log.exception("channel_events_failed", session_id=session.session_id)
            await self._send(self.protocol.failed())
        conversation.cancel()

    async def _send(self, outputs: Sequence[Step]) -> None:
        """Send and close, in order. Raises `_Gone` when the client takes nothing for SEND_TIMEOUT_S.

        To a client that has left nothing is sent; what it sent before is still being read, until its disconnection is.
        """
        if not outputs:
            return
        async with self.lock:
            for output in outputs:
                if self.close_code is not None or self.has_left:
                    return
                with anyio.move_on_after(SEND_TIMEOUT_S) as timeout:
                    try:
                        if isinstance(output, Close):
                            self.close_code = output.code
                            await self.websocket.close(output.code, output.reason)
                        elif isinstance(output, Send):
                            await self.websocket.send_text(output.message.model_dump_json())
                    # RuntimeError: the server has answered the client's close already
                    except (WebSocketDisconnect, RuntimeError):
                        self.has_left = True
                if timeout.cancelled_caught:
                    raise _Gone
