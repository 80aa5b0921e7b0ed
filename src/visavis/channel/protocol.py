"""One channel's conversation as a pure state machine: no socket, no clock, no session; it is told what happens and says
what to do.

    AWAITING_INIT ──session.init──► ATTACHING ──attached──► OPEN ──a message that ends it──► CLOSING ──said──► CLOSED
          ▲                             │
          └──────── refused ────────────┘    from any state: SessionOver, TakenOver, 10 s, the client's close ──► CLOSED

Inputs are the methods of `ChannelProtocol`; each returns what is to be done, in order: `Send` a message, `Close` the
connection, or one effect (`Attach`, `Speak`, `Interrupt`, `SetState`, `Update`), which is always last. Effects are
begun in the order in which they are returned, and their outcomes (`attached`, `done` or `refused`) told in that order.
Several may be under way, so that speech in small pieces does not wait for each one's way to the performer and back;
only `Attach` is alone: no message may be given in before its outcome.

What is said to the client stands in one line behind the effects that are under way (answer_line.py). Here is decided
what may come when, and what follows; what a message must be like, where it is read: handshake.py, speech.py (with
delivery.py and timings.py) and session_changes.py. All of them have no I/O and no clock either.

Decisions where the contract is open:
- A refused `session.init` that does not close may be tried again, within the same 10 s.
- `audio_samples` is n * 16000 / rate, rounded; within one utterance the remainder is carried on, so that the sum is the
  rounded count of the whole.
- Binary frames are confirmed like `agent.speak`; `audio.format` holds from then on and has no answer of its own.
- Timings or an emotion that cannot be followed are an error, said before the confirmation of their speech, which is
  said without them.
- Audio of no bytes is confirmed as 0 samples; with `final` it ends the utterance, else it does nothing.
"""

from __future__ import annotations

import enum
from typing import Any

from visavis.channel.answer_line import AnswerLine
from visavis.channel.client_message import MAX_TEXT_CHARS, parse_object, too_large
from visavis.channel.handshake import read_first_message
from visavis.channel.port import SessionEvent, SessionOver, TakenOver
from visavis.channel.sample_count import SampleCount
from visavis.channel.server_messages import (
    ConnectionEstablished,
    ErrorMessage,
    InterruptConfirmed,
    MotionFormat,
    ServerMessage,
    SessionUpdated,
    SpeakConfirmed,
    told,
)
from visavis.channel.session_changes import read_state, read_update
from visavis.channel.speech import DEFAULT_RATE_HZ, read_audio_format, read_binary, read_speak
from visavis.channel.steps import Attach, Close, Effect, Interrupt, Send, SetState, Speak, Step, close
from visavis.engine.output import Output
from visavis.errors import (
    AlreadyInitialized,
    CloseCode,
    FeatureNotEnabled,
    InitRequired,
    InitTimeout,
    InternalError,
    InvalidUtf8,
    UnknownType,
    UpdatePending,
    VisavisError,
)
from visavis.output_json import write_output
from visavis.stage.port.values import Speech

INIT_TIMEOUT_S = 10.0
MAX_UPDATES = 4  # under way at once


class ChannelState(enum.Enum):
    AWAITING_INIT = enum.auto()
    ATTACHING = enum.auto()
    OPEN = enum.auto()
    CLOSING = enum.auto()  # a close stands in line behind effects; nothing more is taken in
    CLOSED = enum.auto()


class ChannelProtocol:
    """One connection, from its acceptance to its close. `path_session_id`: the session named in the address, None at
    `/v1/channel`.
    """

    def __init__(self, *, path_session_id: str | None = None) -> None:
        self.state = ChannelState.AWAITING_INIT
        self.path_session_id = path_session_id
        self.features: frozenset[str] = frozenset()  # set when a session.init is accepted
        self.binary_rate_hz = DEFAULT_RATE_HZ  # changes with audio.format
        self._updates = 0  # under way
        self._count = SampleCount()
        self._line = AnswerLine()

    @property
    def awaiting_init(self) -> bool:
        return self.state is ChannelState.AWAITING_INIT

    @property
    def under_way(self) -> int:
        """How many effects wait for their outcomes."""
        return self._line.under_way

    # What the client does

    def receive_text(self, text: str, number: int = 0) -> list[Step]:
        """Take a text frame. `number`: its place among the client's frames."""
        if self._is_over():
            return []
        try:
            if len(text) > MAX_TEXT_CHARS:
                raise too_large()
            return self._init(text) if self.awaiting_init else self._command(parse_object(text), number)
        except VisavisError as error:
            return self._refuse(error)

    def receive_binary(self, data: bytes, number: int = 0) -> list[Step]:
        """Take a binary frame: PCM16 at the rate of the last `audio.format`. `number` as for a text frame."""
        if self._is_over():
            return []
        try:
            if self.awaiting_init:
                raise InitRequired
            self._check_feature("binary", "Binary frames need")
            return self._speak(read_binary(data, rate_hz=self.binary_rate_hz, number=number))
        except VisavisError as error:
            return self._refuse(error)

    def receive_no_text(self) -> list[Step]:
        """Take a text frame that is no UTF-8: RFC 6455 has such a connection fail."""
        if self._is_over():
            return []
        return self._refuse(InvalidUtf8("Text frames must be UTF-8"))

    def peer_closed(self) -> None:
        """The client has gone; nothing more is to be said."""
        self.state = ChannelState.CLOSED
        self._line.cut()

    # What time and effects do

    def init_timed_out(self) -> list[Step]:
        """10 s have passed since the connection was made."""
        if not self.awaiting_init:
            return []
        return self._refuse(InitTimeout("No session.init within 10 s"))

    def attached(self) -> list[Step]:
        """`Attach` has succeeded: the avatar is in the room."""
        effect = self._settle()
        if effect is None:
            return []
        assert isinstance(effect, Attach)
        self.features = effect.init.features
        self.state = ChannelState.OPEN
        established = Send(message=ConnectionEstablished(session_id=effect.init.session_id))
        return [established, Send(message=MotionFormat())] if "motion" in self.features else [established]

    def done(self) -> list[Step]:
        """The oldest effect under way has succeeded: `Speak` was accepted, `Interrupt` has taken effect, or `SetState`
        is known.
        """
        effect = self._settle()
        if effect is None:
            return []
        if isinstance(effect, Interrupt):
            self._count.restart()
            return [Send(message=InterruptConfirmed()), *self._sayable()]
        if isinstance(effect, SetState):
            return self._sayable()
        assert isinstance(effect, Speak)
        return [self._confirmed(effect), *self._sayable()]

    def refused(self, error: VisavisError) -> list[Step]:
        """The oldest effect under way has failed; nothing of its message was taken."""
        effect = self._settle()
        if effect is None:
            return []
        if isinstance(effect, Attach):
            self.state = ChannelState.AWAITING_INIT
        said = Send(message=ErrorMessage(error=error.message, code=error.code))
        if error.close_code is not None:
            return [said, *self._close_now(error.close_code, error.message)]
        return [said, *self._sayable()]

    def updated(self, output: Output) -> list[Step]:
        """The oldest `Update` under way has come about; this is how the session looks now."""
        self._updates -= 1
        if self.state is ChannelState.CLOSED:
            return []
        return self._say(SessionUpdated(output=write_output(output)))

    def update_refused(self, error: VisavisError) -> list[Step]:
        """The oldest `Update` under way has failed; the session looks as before."""
        self._updates -= 1
        if self.state is ChannelState.CLOSED:
            return []
        said = self._say(ErrorMessage(error=error.message, code=error.code))
        return said if error.close_code is None else [*said, *self._close_now(error.close_code, error.message)]

    def failed(self) -> list[Step]:
        """Something of ours has broken."""
        if self.state is ChannelState.CLOSED:
            return []
        said = Send(message=ErrorMessage(error="Internal error", code=InternalError.code))
        return [said, *self._close_now(CloseCode.INTERNAL_ERROR, "Internal error")]

    # What the session does

    def session_event(self, event: SessionEvent) -> list[Step]:
        """Take the next event of the attached session. Its end waits for no effect; what can be said by then is said
        before.
        """
        if self.state is ChannelState.CLOSED:
            return []
        if isinstance(event, SessionOver):
            return self._close_now(CloseCode.NORMAL, event.reason)
        if isinstance(event, TakenOver):
            return self._close_now(CloseCode.TAKEN_OVER, "Another channel has taken over this session")
        message = told(event, self.features)
        return [] if message is None else self._say(message)

    # Within

    def _init(self, text: str) -> list[Step]:
        init = read_first_message(text, path_session_id=self.path_session_id)
        self.state = ChannelState.ATTACHING
        return self._begin(Attach(init=init))

    def _command(self, message: dict[str, Any], number: int) -> list[Step]:
        match message.get("type"):
            case "agent.speak":
                speech, refusals = read_speak(message, number=number)
                said = [step for refusal in refusals for step in self._refuse(refusal)]
                return said + self._speak(speech)
            case "agent.interrupt":
                return self._begin(Interrupt(through=number))
            case "session.update":
                return self._update(message)
            case "agent.state":
                self._check_feature("state", "agent.state needs")
                return self._begin(read_state(message))
            case "audio.format":
                self._check_feature("binary", "audio.format needs")
                self.binary_rate_hz = read_audio_format(message)
                return []
            case "session.init":
                raise AlreadyInitialized("The session is open already")
            case _:
                raise UnknownType("Unknown message type")

    def _check_feature(self, feature: str, what_needs: str) -> None:
        if feature not in self.features:
            raise FeatureNotEnabled(f'{what_needs} the feature "{feature}" in session.init')

    def _speak(self, speech: Speech) -> list[Step]:
        if not speech.pcm and not speech.final:
            return self._say(SpeakConfirmed(audio_samples=0))
        return self._begin(Speak(speech=speech))

    def _update(self, message: dict[str, Any]) -> list[Step]:
        if self._updates >= MAX_UPDATES:
            raise UpdatePending("Updates of the session are still under way; wait for session.updated")
        update = read_update(message)
        self._updates += 1
        return [update]

    def _confirmed(self, effect: Speak) -> Send:
        speech = effect.speech
        share = self._count.add(len(speech.pcm) // 2, rate_hz=speech.sample_rate_hz, utterance_id=speech.utterance_id)
        if speech.final:
            self._count.restart()
        return Send(message=SpeakConfirmed(audio_samples=share))

    def _begin(self, effect: Effect) -> list[Step]:
        self._line.add(effect)
        return [effect]

    def _settle(self) -> Effect | None:
        """Take the oldest effect, whose outcome has come, out of the line; None when the channel has closed
        meanwhile.
        """
        return None if self.state is ChannelState.CLOSED else self._line.settle()

    def _say(self, message: ServerMessage) -> list[Step]:
        self._line.add(Send(message=message))
        return self._sayable()

    def _sayable(self) -> list[Step]:
        said = self._line.sayable()
        if said and isinstance(said[-1], Close):
            self.state = ChannelState.CLOSED
        return [*said]

    def _refuse(self, error: VisavisError) -> list[Step]:
        """Say why a message is not taken, and close behind it where the error says so."""
        self._line.add(Send(message=ErrorMessage(error=error.message, code=error.code)))
        if error.close_code is not None:
            self.state = ChannelState.CLOSING
            self._line.add(close(error.close_code, error.message))
        return self._sayable()

    def _close_now(self, code: CloseCode, reason: str) -> list[Step]:
        """Close without waiting for effects: what stood in line is said, their answers are not."""
        self.state = ChannelState.CLOSED
        return [*self._line.cut(), close(code, reason)]

    def _is_over(self) -> bool:
        assert self.state is not ChannelState.ATTACHING, "a message came before the outcome of Attach"
        return self.state in (ChannelState.CLOSING, ChannelState.CLOSED)
