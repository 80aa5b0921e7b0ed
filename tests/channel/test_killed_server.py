"""A conversation whose server is killed at any moment: with the next one nothing is lost and nothing is said twice.

The protocol, what a stage keeps, and a client that resumes, without sockets: every step is a choice of the test.
"""

from __future__ import annotations

import base64
import json
import random
from collections import Counter, deque
from collections.abc import Callable
from typing import Any

import pytest

from visavis.channel.actions import Action, Attach, Interrupt, Send, SendAgain, SetState, Speak, Update
from visavis.channel.handed_conversation import Beginning, pack, unpack
from visavis.channel.port import SessionInit
from visavis.channel.protocol import ChannelProtocol
from visavis.engine.output import DEFAULT_OUTPUT
from visavis.errors import QueueFull, VisavisError
from visavis.stage.port import messages
from visavis.stage.port.events import PlaybackStarted
from visavis.stage.port.notes import KeptNote, Notes
from visavis.stage.port.values import Spoken
from visavis.stage.taken_messages import TakenMessages

FEATURES = frozenset({"resume", "playback", "binary", "state"})
PCM = base64.b64encode(bytes(320)).decode()


class Stage:
    """What it has carried out, in order, and what it keeps for the next server."""

    def __init__(self) -> None:
        self.taken = TakenMessages()
        self.beginning, self.notes = b"", Notes()
        self.carried_out: list[str] = []
        self.rates: list[int] = []

    def execute(self, command: messages.Speak | messages.SetState | messages.Interrupt) -> messages.Result:
        if (repeated := self.taken.repeated(command)) is not None:
            return repeated
        result: messages.Result | VisavisError = messages.Done()
        match command:
            case messages.Speak(speech=speech) if speech.utterance_id == "refused":
                result = QueueFull("full")
            case messages.Speak(speech=speech):
                late = self.taken.in_turn(speech).number == 0
                samples = len(speech.pcm) // 2
                self.carried_out.append("late" if late else f"{samples} of {speech.utterance_id}")
                self.rates.append(speech.sample_rate_hz)
                result = Spoken(utterance_id="u", samples=samples)
            case messages.SetState():
                self.carried_out.append(command.state)
            case messages.Interrupt():
                self.carried_out.append("interrupt")
        self.taken.carried_out(command, result)
        if isinstance(result, VisavisError):
            raise result
        return result


class World:
    """A client, the server of the moment and its stage. `wire_in`, `wire_out`: what is on its way."""

    def __init__(self, rng: random.Random) -> None:
        self.rng, self.stage = rng, Stage()
        self.sent: dict[int, str | bytes] = {}  # by the client, and not known to be taken
        self.last_sent = 0
        self.received: list[dict[str, Any]] = []
        self.wire_in: deque[str | bytes] = deque()
        self.wire_out: deque[str] = deque()
        self.effects: deque[Speak | SetState] = deque()  # on their way to the stage, in order
        self.updates: list[Update] = []
        self.early: set[int] = set()
        self.events: dict[str, PlaybackStarted] = {}  # that the stage keeps, because nobody has acknowledged them
        self.event_count = 0
        self.protocol = ChannelProtocol()
        init = {"type": "session.init", "session_id": "s", "session_token": "t", "features": sorted(FEATURES)}
        assert isinstance(self.protocol.receive_text(json.dumps(init))[-1], Attach)
        self.protocol.messages.index = 1
        self.stage.beginning = pack(Beginning(session_id="s", features=FEATURES, index=1))
        self.protocol.attach_succeeded()

    # --- the client
    def send(self, message: str | bytes) -> None:
        self.last_sent += 1
        self.sent[self.last_sent] = message
        self.wire_in.append(message)

    def receive(self) -> None:
        message = json.loads(self.wire_out.popleft())
        self.received.append(message)
        assert message["seq"] == len(self.received), "each comes once, in order"
        for number in [one for one in self.sent if one <= message["ack"]]:
            del self.sent[number]
        if self.rng.random() < 0.3:
            self.wire_in.append(json.dumps({"type": "ack", "seq": message["seq"]}))

    # --- the server
    def take(self) -> None:
        frame = self.wire_in.popleft()
        if isinstance(frame, str):
            actions = self.protocol.receive_text(frame, 1)
        else:
            actions = self.protocol.receive_binary(frame, 1)
        self.reply([action for action in actions if isinstance(action, Send)])
        for action in actions:
            if isinstance(action, Interrupt) and action.message not in self.early:
                self.interrupt(action.message)
            elif isinstance(action, Update):
                self.updates.append(action)
            elif isinstance(action, Speak | SetState):
                self.effects.append(action)

    def interrupt_early(self) -> None:
        """Carry out an interrupt that is still on its way, as `read_ahead.py` finds it."""
        number = self.protocol.messages.taken
        for frame in self.wire_in:
            kind = json.loads(frame)["type"] if isinstance(frame, str) and frame.startswith("{") else ""
            number += kind != "ack"
            if kind != "agent.interrupt" or number in self.early or self.protocol.messages.has_answered(number):
                continue
            self.early.add(number)
            self.interrupt(number)

    def interrupt(self, message: int) -> None:
        self.stage.execute(messages.Interrupt(through=0, message=self.protocol.messages.session_number(message)))
        self.reply(self.protocol.interrupt_succeeded(message))

    def execute(self, *, report: bool = True) -> None:
        effect = self.effects.popleft()
        command = (
            messages.Speak(speech=effect.speech)
            if isinstance(effect, Speak)
            else messages.SetState(state=effect.state, message=effect.message)
        )
        try:
            result = self.stage.execute(command)
        except VisavisError as error:
            if report:
                self.reply(self.protocol.effect_failed(error))
            return
        if report and isinstance(result, Spoken):
            self.reply(self.protocol.speech_queued(result.samples))
        elif report:
            self.reply(self.protocol.effect_succeeded())

    def update(self) -> None:
        update = self.updates.pop(0)
        self.reply(self.protocol.update_succeeded(DEFAULT_OUTPUT, update.message))

    def event(self) -> None:
        self.event_count += 1
        event = PlaybackStarted(utterance_id=str(self.event_count))
        self.events[event.utterance_id] = event
        self.reply(self.protocol.receive_event(event))

    def reply(self, actions: list[Action]) -> None:
        numbered, note = self.protocol.sent.numbered(actions, self.protocol.mark(), is_sent=True)
        if note is not None:
            kept = KeptNote(number=note.last_number, note=pack(note))
            self.stage.notes.add(kept, forget_through=note.forgotten)
            for event in [message.event for message in note.messages if isinstance(message.event, PlaybackStarted)]:
                del self.events[event.utterance_id]
        self.wire_out += [action.text for action in numbered if isinstance(action, SendAgain)]

    def kill(self) -> None:
        """Some of what is on its way arrives, and the rest is lost. Another server goes on."""
        while self.wire_out and self.rng.random() < 0.7:
            self.receive()
        while self.effects and self.rng.random() < 0.7:
            self.execute(report=False)
        for lost in (self.wire_in, self.wire_out, self.effects, self.updates, self.early):
            lost.clear()
        handed = unpack(self.stage.beginning, self.stage.notes.all())
        assert handed is not None
        self.protocol = ChannelProtocol.take_over(handed)
        received = len(self.received)
        init = SessionInit(session_id="s", token="t", hosted=False, features=FEATURES, received=received)
        assert self.protocol.can_resume(init)
        established, *again = self.protocol.resume(received)
        assert isinstance(established, Send)
        taken = established.message.model_dump()["received"]
        self.wire_out += [action.text for action in again if isinstance(action, SendAgain)]
        for number in [one for one in self.sent if one <= taken]:
            del self.sent[number]
        assert list(self.sent) == list(range(taken + 1, self.last_sent + 1)), "the client has all that is asked for"
        self.wire_in += self.sent.values()
        for event in list(self.events.values()):
            self.reply(self.protocol.receive_event(event))

    def step(self) -> None:
        """Do one thing by chance."""
        steps: list[tuple[float, Callable[[], None]]] = [(0.05, self.kill), (0.05, self.event)]
        steps += [(0.25, self.take), (0.03, self.interrupt_early)] if self.wire_in else []
        steps += [(0.2, self.execute)] if self.effects else []
        steps += [(0.05, self.update)] if self.updates else []
        steps += [(0.15, self.receive)] if self.wire_out else []
        self.rng.choices([step for _, step in steps], [weight for weight, _ in steps])[0]()

    def drain(self) -> None:
        while self.wire_in or self.effects or self.updates or self.wire_out:
            for queue, step in (
                (self.wire_in, self.take),
                (self.effects, self.execute),
                (self.updates, self.update),
                (self.wire_out, self.receive),
            ):
                if queue:
                    step()


MESSAGES: list[tuple[float, dict[str, Any] | str, str | None, str]] = [  # weight, message, effect, reply
    (0.22, {"type": "agent.speak", "audio": PCM, "utterance_id": "said"}, "160 of said", "agent.speak.confirmed"),
    (0.03, {"type": "agent.speak", "audio": PCM, "utterance_id": "refused"}, None, "error"),
    (0.05, {"type": "agent.state", "state": "thinking"}, "thinking", ""),
    (0.03, {"type": "agent.interrupt"}, "interrupt", "agent.interrupt.confirmed"),
    (0.03, {"type": "session.update", "output": {"background": {"type": "blur"}}}, None, "session.updated"),
    (0.03, "nonsense", None, "error"),
]


@pytest.mark.parametrize("seed", range(150))
def test_every_message_takes_effect_and_is_answered_once(seed: int) -> None:
    rng = random.Random(seed)
    world = World(rng)
    expected: list[str] = []
    replies = Counter[str]()
    for _ in range(120):
        if rng.random() < 0.4:
            (chosen,) = rng.choices(MESSAGES, [weight for weight, *_ in MESSAGES])
            _, message, effect, reply = chosen
            world.send(message if isinstance(message, str) else json.dumps(message))
            expected += [] if effect is None else [effect]
            replies += Counter([reply] if reply else [])
        else:
            world.step()
    world.drain()
    replies["agent.playback.started"] = world.event_count
    assert Counter(message["type"] for message in world.received) == replies
    done = [one for one in world.stage.carried_out if one != "interrupt"]
    wanted = [one for one in expected if one != "interrupt"]
    assert [one for one in done if one != "late"] == wanted or "interrupt" in expected
    assert len(done) == len(wanted), "each once"
    assert world.stage.carried_out.count("interrupt") == expected.count("interrupt")


@pytest.mark.parametrize("seed", range(40))
def test_binary_frames_keep_their_rate(seed: int) -> None:
    rng = random.Random(seed)
    world, rates, rate_hz = World(rng), [], 16_000
    for _ in range(60):
        choice = rng.random()
        if choice < 0.1:
            rate_hz = rng.choice((8_000, 16_000, 24_000, 48_000))
            world.send(json.dumps({"type": "audio.format", "sample_rate": rate_hz}))
        elif choice < 0.5:
            world.send(bytes(320))
            rates.append(rate_hz)
        else:
            world.step()
    world.drain()
    assert world.stage.rates == rates
