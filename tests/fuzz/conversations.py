"""Drives the protocol of a channel as its connection does, and checks each action that it returns."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Sequence
from typing import Any

from tests.attacks.test_odd_values import check_actions
from visavis.channel.actions import (
    Action,
    Attach,
    Close,
    Effect,
    Interrupt,
    Say,
    Send,
    SendAgain,
    SetState,
    Speak,
    Update,
)
from visavis.channel.port import SessionEvent, SessionInit
from visavis.channel.protocol import ChannelProtocol, ChannelState
from visavis.channel.sent_log import MAX_SENT_BYTES
from visavis.channel.server_messages import ConnectionEstablishedResumable
from visavis.engine.output import DEFAULT_OUTPUT
from visavis.errors import BackgroundRefused, PerformerLost, QueueFull, SessionEnded, VisavisError

FAILURES: tuple[VisavisError, ...] = (
    QueueFull("full"),
    PerformerLost("lost"),
    BackgroundRefused("no picture"),
    SessionEnded("over"),
)
MOST_REPLIES = 3  # to one message: its two annotations may be refused beside its confirmation
SILENT = ("agent.state", "audio.format", "ack")
"""Messages that have no reply when they are taken."""


class Conversation:
    """One client's conversation with the server, over one connection or, with "resume", over several.

    Its methods assert that every frame is answered, that errors are typed and can be written, that nothing follows a
    close, and that a client which comes back gets exactly what it missed.
    """

    def __init__(self, features: Sequence[str]) -> None:
        self.protocol = ChannelProtocol()
        self.features = frozenset(features)
        self.frames = 0  # that were taken while the channel was open
        self.unanswered = 0  # frames of these that may have no reply
        self.replies = 0
        self.closed = False
        self.numbered: list[str] = []  # the texts of a conversation that can be resumed, from number 1 on
        self._pending: deque[Effect] = deque()  # attachments, speech and states, in order
        self._interrupts = 0
        self._updates = 0
        self._number = 0

    def open(self) -> None:
        """Attach, as an honest client does."""
        init = {"type": "session.init", "session_id": "s", "session_token": "t", "features": sorted(self.features)}
        self.first_message(json.dumps(init))
        assert self.protocol.state is ChannelState.OPEN

    def first_message(self, text: str) -> None:
        """Pass in a frame while `session.init` is awaited. An attachment succeeds."""
        assert self.protocol.awaiting_init
        actions = self._check(self.protocol.receive_text(text))
        assert actions, "a first message always has an answer"
        if isinstance(actions[-1], Attach):
            self._pending.clear()
            self._check(self.protocol.attach_succeeded())
        self.replies = self.frames = 0

    def text(self, text: str, *, at_s: float = 0.0) -> None:
        self._number += 1
        self._count(_kind_of(text) in SILENT)
        self._check(self.protocol.receive_text(text, self._number, at_s))

    def binary(self, data: bytes, *, at_s: float = 0.0) -> None:
        self._number += 1
        self._count(False)
        self._check(self.protocol.receive_binary(data, self._number, at_s))

    def _count(self, may_be_silent: bool) -> None:
        if self.protocol.state is ChannelState.OPEN:
            self.frames += 1
            self.unanswered += may_be_silent

    def event(self, event: SessionEvent) -> None:
        replies = self.replies
        self._check(self.protocol.receive_event(event))
        self.replies = replies

    def outcome(self, *, failure: int | None, samples: int = 0) -> None:
        """Report the outcome of the oldest pending effect: success, or one of FAILURES."""
        if not self._pending:
            return
        effect = self._pending.popleft()
        if failure is not None:
            self._check(self.protocol.effect_failed(FAILURES[failure]))
        elif isinstance(effect, Speak):
            self._check(self.protocol.speech_queued(samples, 0.5))
        elif isinstance(effect, Say):
            self._check(self.protocol.text_queued(effect.piece.utterance_id or "say_1"))
        else:
            assert isinstance(effect, SetState)
            self._check(self.protocol.effect_succeeded())

    def interrupted(self, *, failure: int | None) -> None:
        if self._interrupts:
            self._interrupts -= 1
            failed = self.protocol.interrupt_failed
            self._check(self.protocol.interrupt_succeeded() if failure is None else failed(FAILURES[failure]))

    def updated(self, *, failure: int | None) -> None:
        if self._updates:
            self._updates -= 1
            failed = self.protocol.update_failed
            succeeded = self.protocol.update_succeeded
            self._check(succeeded(DEFAULT_OUTPUT) if failure is None else failed(FAILURES[failure]))

    def come_back(self, *, missed: int) -> None:
        """The client has lost its connection, and resumes without the last messages."""
        self._settle()
        received = max(0, len(self.numbered) - missed)
        init = SessionInit(session_id="s", token="t", hosted=False, features=self.features, received=received)
        if not self.protocol.can_resume(init):
            assert not self.protocol.resumable or self.protocol.sent.forgotten > received
            return
        established, *again = self.protocol.resume(received)
        assert isinstance(established, Send) and isinstance(established.message, ConnectionEstablishedResumable)
        assert established.message.resumed and established.message.received == self.protocol.messages.taken
        assert [send.text for send in again if isinstance(send, SendAgain)] == self.numbered[received:]

    def finish(self) -> None:
        """Report all outcomes; then every frame has its answer, and nothing is kept."""
        self._settle()
        if not self.closed:
            assert self.frames - self.unanswered <= self.replies <= MOST_REPLIES * self.frames
        assert not self.protocol._replies._actions
        assert self.protocol.sent._size_bytes <= MAX_SENT_BYTES
        assert self.protocol.client_disconnected() == []

    def _settle(self) -> None:
        """Report all outcomes."""
        while self._pending:
            self.outcome(failure=None, samples=1)
        while self._interrupts:
            self.interrupted(failure=None)
        while self._updates:
            self.updated(failure=None)

    def _check(self, actions: list[Action]) -> list[Action]:
        assert not (self.closed and actions), "nothing follows a close"
        check_actions("fuzzed", actions)
        self._send(actions)
        for place, action in enumerate(actions):
            match action:
                case Close():
                    assert place == len(actions) - 1
                    self.closed = True
                case Send():
                    self.replies += action.event is None  # an event waits behind replies, and is none itself
                case Interrupt():
                    self._interrupts += 1
                case Update():
                    self._updates += 1
                case Attach() | Speak() | Say() | SetState():
                    self._pending.append(action)
        return actions

    def _send(self, actions: list[Action]) -> None:
        if not self.protocol.resumable:
            return
        mark = self.protocol.mark()
        for action in self.protocol.sent.numbered(actions, mark, is_sent=True)[0]:
            if isinstance(action, SendAgain):
                self.numbered.append(action.text)
                message = json.loads(action.text)
                assert message["seq"] == len(self.numbered)
                assert message["ack"] == mark.taken <= self.protocol.messages.taken <= self._number


def _kind_of(text: str) -> Any:
    try:
        message = json.loads(text.removeprefix("\ufeff"))
    except (ValueError, RecursionError):
        return None
    return message.get("type") if isinstance(message, dict) else None
