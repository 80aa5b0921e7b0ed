"""One channel's conversation as a pure state machine: no socket, no clock, no session; it is told what happens and says what to do.

    AWAITING_INIT ──session.init──► ATTACHING ──attached──► OPEN ──a message that ends it──► CLOSING ──said──► CLOSED
          ▲                             │
          └──────── refused ────────────┘          from any state: SessionOver, TakenOver, 10 s, the client's close ──► CLOSED

Inputs are the methods of `ChannelProtocol`; each returns what is to be done, in order: `Send` a message, `Close` the connection, or one effect
(`Attach`, `Speak`, `Interrupt`, `Attend`, `Update`), which is always last. Effects are begun in the order in which they are returned, and their
outcomes (`attached`, `done` or `refused`) told in that order. Several may be under way, so that speech in small pieces does not wait for each one's
way to the performer and back; only `Attach` is alone: no message may be given in before its outcome.

What is said to the client stands in one line behind the effects that are under way: confirmations and errors come in the order of their messages, and
no playback event overtakes the confirmation of the message that began its utterance.

Decisions where the contract is open:
- A refused `session.init` that does not close may be tried again, within the same 10 s.
- `audio_samples` is n * 16000 / rate, rounded; within one utterance the remainder is carried on, so that the sum is the rounded count of the whole.
- Binary frames are confirmed like `agent.speak`; `audio.format` holds from then on and has no answer of its own.
- Timings or an emotion that cannot be followed are an error, said before the confirmation of their speech, which is said without them.
- Audio of no bytes is confirmed as 0 samples; with `final` it ends the utterance, else it does nothing.
"""

from __future__ import annotations

import enum
from collections import deque
from typing import Any

from visavis.channel import messages
from visavis.channel.delivery import parse_delivery
from visavis.channel.messages import ChannelError, ErrorMessage, ServerMessage
from visavis.channel.port import SessionEvent, SessionOver, TakenOver
from visavis.channel.sample_count import SampleCount
from visavis.channel.steps import Attach, Attend, Close, Effect, Interrupt, Send, Speak, Step, Update
from visavis.channel.telling import message_of
from visavis.engine.output import Output, read_output
from visavis.errors import InvalidRequest, VisavisError
from visavis.fleet.port import PLAIN, Delivery

INIT_TIMEOUT_S = 10.0
DEFAULT_RATE_HZ = 16_000
MAX_UPDATES = 4  # under way at once
MAX_REASON_BYTES = 123  # RFC 6455, section 5.5: a control frame holds 125 bytes, two of them the close code

CLOSE_NORMAL = 1000
CLOSE_NO_UTF8 = 1007
CLOSE_TOO_LARGE = 1009
CLOSE_INTERNAL = 1011
CLOSE_INIT_REQUIRED = 4400
CLOSE_UNKNOWN_SESSION = 4404
CLOSE_INIT_TIMEOUT = 4408
CLOSE_TAKEN_OVER = 4409


class ChannelState(enum.Enum):
    AWAITING_INIT = enum.auto()
    ATTACHING = enum.auto()
    OPEN = enum.auto()
    CLOSING = enum.auto()  # a close stands in line behind effects; nothing more is taken in
    CLOSED = enum.auto()


class ChannelProtocol:
    """One connection, from its acceptance to its close. `path_session_id`: the session named in the address, None at `/v1/channel`."""

    def __init__(self, *, path_session_id: str | None = None) -> None:
        self.state = ChannelState.AWAITING_INIT
        self.path_session_id = path_session_id
        self.features: frozenset[str] = frozenset()  # set when a session.init is accepted
        self.binary_rate_hz = DEFAULT_RATE_HZ  # changes with audio.format
        self._updates = 0  # under way
        self._count = SampleCount()
        self._line: deque[Step] = deque()  # what is to be said; an effect stands where its answer will be

    @property
    def awaiting_init(self) -> bool:
        return self.state is ChannelState.AWAITING_INIT

    @property
    def under_way(self) -> int:
        """How many effects wait for their outcomes."""
        return sum(not isinstance(step, Send | Close) for step in self._line)

    # What the client does

    def receive_text(self, text: str) -> list[Step]:
        """Take a text frame."""
        if self._is_over():
            return []
        try:
            if len(text) > messages.MAX_TEXT_CHARS:
                raise messages.too_large()
            return self._init(text) if self.awaiting_init else self._command(text)
        except ChannelError as error:
            return self._error(error, close_with=error.close_with)

    def receive_binary(self, data: bytes) -> list[Step]:
        """Take a binary frame: PCM16 at the rate of the last `audio.format`."""
        if self._is_over():
            return []
        try:
            if self.awaiting_init:
                raise _init_required()
            if "binary" not in self.features:
                raise ChannelError('Binary frames need the feature "binary" in session.init', "FEATURE_NOT_ENABLED")
            messages.check_pcm(data)
        except ChannelError as error:
            return self._error(error, close_with=error.close_with)
        return self._speak(data, rate_hz=self.binary_rate_hz, utterance_id=None, final=False)

    def receive_no_text(self) -> list[Step]:
        """Take a text frame that is no UTF-8: RFC 6455 has such a connection fail."""
        if self._is_over():
            return []
        return self._error(ChannelError("Text frames must be UTF-8", "INVALID_UTF8"), close_with=CLOSE_NO_UTF8)

    def peer_closed(self) -> None:
        """The client has gone; nothing more is to be said."""
        self.state = ChannelState.CLOSED
        self._line.clear()

    # What time and effects do

    def init_timed_out(self) -> list[Step]:
        """10 s have passed since the connection was made."""
        if not self.awaiting_init:
            return []
        return self._error(ChannelError("No session.init within 10 s", "INIT_TIMEOUT"), close_with=CLOSE_INIT_TIMEOUT)

    def attached(self) -> list[Step]:
        """`Attach` has succeeded: the avatar is in the room."""
        effect = self._settle()
        if effect is None:
            return []
        assert isinstance(effect, Attach)
        self.features = effect.init.features
        self.state = ChannelState.OPEN
        established = Send(message=messages.ConnectionEstablished(session_id=effect.init.session_id))
        return [established, Send(message=messages.MotionFormat())] if "motion" in self.features else [established]

    def done(self) -> list[Step]:
        """The oldest effect under way has succeeded: `Speak` was accepted, `Interrupt` has taken effect, or `Attend` is known."""
        effect = self._settle()
        if effect is None:
            return []
        if isinstance(effect, Interrupt):
            self._count.restart()
            return [Send(message=messages.InterruptConfirmed()), *self._sayable()]
        if isinstance(effect, Attend):
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
        return self._say(messages.SessionUpdated(output=output.shown()))

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
        return [Send(message=ErrorMessage(error="Internal error", code="INTERNAL")), *self._close_now(CLOSE_INTERNAL, "Internal error")]

    # What the session does

    def session_event(self, event: SessionEvent) -> list[Step]:
        """Take the next event of the attached session. Its end waits for no effect; what can be said by then is said before."""
        if self.state is ChannelState.CLOSED:
            return []
        if isinstance(event, SessionOver):
            return self._close_now(CLOSE_NORMAL, event.reason)
        if isinstance(event, TakenOver):
            return self._close_now(CLOSE_TAKEN_OVER, "Another channel has taken over this session")
        message = message_of(event, self.features)
        return [] if message is None else self._say(message)

    # Within

    def _init(self, text: str) -> list[Step]:
        try:
            message = messages.parse_object(text)
        except ChannelError:
            raise _init_required() from None
        if message.get("type") != "session.init":
            raise _init_required()
        init = messages.parse_init(message)
        if self.path_session_id not in (None, init.session_id):
            raise ChannelError("session_id is not the session of this address", "SESSION_MISMATCH", close_with=CLOSE_UNKNOWN_SESSION)
        self.state = ChannelState.ATTACHING
        return self._begin(Attach(init=init))

    def _command(self, text: str) -> list[Step]:
        message = messages.parse_object(text)
        match message.get("type"):
            case "agent.speak":
                speak, pcm = messages.parse_speak(message)
                delivery, refusals = parse_delivery(speak, duration_ms=len(pcm) * 500 / speak.sample_rate)
                said = [output for refusal in refusals for output in self._error(refusal, close_with=None)]
                return said + self._speak(pcm, rate_hz=speak.sample_rate, utterance_id=speak.utterance_id, final=speak.final, delivery=delivery)
            case "agent.interrupt":
                return self._begin(Interrupt())
            case "session.update":
                return self._update(message)
            case "agent.state":
                if "state" not in self.features:
                    raise ChannelError('agent.state needs the feature "state" in session.init', "FEATURE_NOT_ENABLED")
                return self._begin(Attend(state=messages.parse_state(message)))
            case "audio.format":
                if "binary" not in self.features:
                    raise ChannelError('audio.format needs the feature "binary" in session.init', "FEATURE_NOT_ENABLED")
                self.binary_rate_hz = messages.parse_audio_format(message)
                return []
            case "session.init":
                raise ChannelError("The session is open already", "ALREADY_INITIALIZED")
            case _:
                raise ChannelError("Unknown message type", "UNKNOWN_TYPE")

    def _speak(self, pcm: bytes, *, rate_hz: int, utterance_id: str | None, final: bool, delivery: Delivery = PLAIN) -> list[Step]:
        if not pcm and not final:
            return self._say(messages.SpeakConfirmed(audio_samples=0))
        return self._begin(Speak(pcm=pcm, sample_rate_hz=rate_hz, utterance_id=utterance_id, final=final, delivery=delivery))

    def _update(self, message: dict[str, Any]) -> list[Step]:
        if self._updates >= MAX_UPDATES:
            raise ChannelError("Updates of the session are still under way; wait for session.updated", "UPDATE_PENDING")
        try:
            change = read_output(message.get("output"))
        except InvalidRequest as refused:
            hint = f". {refused.suggestion}" if refused.suggestion else ""
            raise ChannelError(refused.message + hint, refused.code) from None
        self._updates += 1
        return [Update(change=change)]

    def _confirmed(self, effect: Speak) -> Send:
        share = self._count.add(len(effect.pcm) // 2, rate_hz=effect.sample_rate_hz, utterance_id=effect.utterance_id)
        if effect.final:
            self._count.restart()
        return Send(message=messages.SpeakConfirmed(audio_samples=share))

    def _begin(self, effect: Effect) -> list[Step]:
        self._line.append(effect)
        return [effect]

    def _settle(self) -> Effect | None:
        """Take the oldest effect, whose outcome has come, out of the line; None when the channel has closed meanwhile."""
        if self.state is ChannelState.CLOSED:
            return None
        effect = self._line.popleft()
        assert not isinstance(effect, Send | Close), effect
        return effect

    def _say(self, message: ServerMessage) -> list[Step]:
        self._line.append(Send(message=message))
        return self._sayable()

    def _sayable(self) -> list[Step]:
        """Take out of the line what stands before the first effect."""
        outputs: list[Step] = []
        while self._line and isinstance(self._line[0], Send | Close):
            outputs.append(self._line.popleft())
        if outputs and isinstance(outputs[-1], Close):
            self.state = ChannelState.CLOSED
        return outputs

    def _error(self, error: VisavisError, *, close_with: int | None) -> list[Step]:
        self._line.append(Send(message=ErrorMessage(error=error.message, code=error.code)))
        if close_with is not None:
            self.state = ChannelState.CLOSING
            self._line.append(_close(close_with, error.message))
        return self._sayable()

    def _close_now(self, code: int, reason: str) -> list[Step]:
        """Close without waiting for effects: what stood in line is said, their answers are not."""
        said = [output for output in self._line if isinstance(output, Send)]
        self.state = ChannelState.CLOSED
        self._line.clear()
        return [*said, _close(code, reason)]

    def _is_over(self) -> bool:
        assert self.state is not ChannelState.ATTACHING, "a message came before the outcome of Attach"
        return self.state in (ChannelState.CLOSING, ChannelState.CLOSED)


def _close(code: int, reason: str) -> Close:
    return Close(code=code, reason=reason.encode()[:MAX_REASON_BYTES].decode(errors="ignore"))


def _init_required() -> ChannelError:
    return ChannelError("First message must be session.init", "INIT_REQUIRED", close_with=CLOSE_INIT_REQUIRED)
