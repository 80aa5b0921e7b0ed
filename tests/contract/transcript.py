"""Golden transcripts of the channel: what they say, line by line, and their replay against the pure protocol.

A transcript is JSON lines. The first holds `title`, and for its replay against a real server `wire: true` with the
state of the `session` it wants (created | started | ended, default started). Then, in order:
    {"client": {…}} {"client_text": "…"} {"client_binary": "…"}      what the client sends
    {"client_no_text": true}                                         a text frame that is no UTF-8
    {"time": "init_timeout"}                                         what time does
    {"effect": "Speak", "with": {…}, "outcome": "done"}  what it asks, and its outcome: done, attached,
                                                         {Error: text}, {updated: output}
    {"session": "PlaybackStarted", "with": {…}}                      what the session tells
    {"server": {…}} {"close": 4400, "reason": "…"}     what the client must then receive, to the last member
$SESSION, $TOKEN, $ROOM_URL, $ROOM_TOKEN stand for the session's own; $PCM:n for n samples of silence; $BYTES:n for n
bytes of 0; $ANY for any text.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from visavis import errors
from visavis.channel import port as channel_port
from visavis.channel.protocol import ChannelProtocol
from visavis.channel.steps import Attach, Close, Send, Speak, Step
from visavis.engine.output import AS_IS
from visavis.output_json import read_output
from visavis.stage.port import events as port_events

TRANSCRIPTS = sorted((Path(__file__).parent / "transcripts").glob("*.jsonl"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    name: str
    head: dict[str, Any]
    steps: list[dict[str, Any]]

    @classmethod
    def read(cls, path: Path) -> Transcript:
        head, *steps = (json.loads(line) for line in path.read_text().splitlines() if line.strip())
        return cls(name=path.stem, head=head, steps=steps)


def filled(value: Any, names: dict[str, str]) -> Any:
    """Put the session's own values and the audio in the places that stand for them."""
    if isinstance(value, dict):
        return {key: filled(member, names) for key, member in value.items()}
    if isinstance(value, list):
        return [filled(member, names) for member in value]
    if isinstance(value, str) and value.startswith("$PCM:"):
        return base64.b64encode(bytes(2 * int(value[5:]))).decode()
    if isinstance(value, str) and value.startswith("$BYTES:"):
        return base64.b64encode(bytes(int(value[7:]))).decode()
    return names.get(value, value) if isinstance(value, str) else value


def binary(value: str) -> bytes:
    assert value.startswith("$BYTES:")
    return bytes(int(value[7:]))


def assert_same(received: Any, expected: Any) -> None:
    """Same members, same order, same values, same types; $ANY is any text that is not empty."""
    if expected == "$ANY":
        assert isinstance(received, str) and received, received
        return
    assert type(received) is type(expected), (received, expected)
    if isinstance(expected, dict):
        assert list(received) == list(expected), (received, expected)
        for key in expected:
            assert_same(received[key], expected[key])
    else:
        assert received == expected, (received, expected)


def replay_pure(transcript: Transcript) -> None:
    """Replay against the protocol alone: after each input exactly the outputs that follow it in the transcript, no
    more, no less.
    """
    names = {
        "$SESSION": "sess_1",
        "$TOKEN": "token_1",
        "$ROOM_URL": "https://here.example/rooms/1",
        "$ROOM_TOKEN": "jwt_1",
    }
    protocol = ChannelProtocol()
    if transcript.name == "other_session":
        protocol = ChannelProtocol(path_session_id=names["$SESSION"])
    outputs: list[Step] = []
    for number, raw in enumerate(transcript.steps, start=2):
        step = filled(raw, names) if "client_binary" not in raw else raw
        place = f"{transcript.name}:{number}"
        if "server" in step:
            said = outputs.pop(0)
            assert isinstance(said, Send), (place, said)
            assert_same(json.loads(said.message.model_dump_json()), step["server"])
            continue
        if "close" in step:
            closed = outputs.pop(0)
            assert isinstance(closed, Close) and closed.code == step["close"], (place, closed)
            assert_same(closed.reason, step["reason"])
            continue
        if "effect" in step:
            effect = outputs.pop(0)
            assert type(effect).__name__ == step["effect"] and not outputs, (place, effect)
            asked = (
                effect.init if isinstance(effect, Attach) else effect.speech if isinstance(effect, Speak) else effect
            )
            for name, value in step.get("with", {}).items():
                assert getattr(asked, name) == value, (place, name)
            outputs = _outcome(protocol, step["outcome"], update=step["effect"] == "Update")
            continue
        assert not outputs, (place, outputs)
        outputs = _input(protocol, step)
    assert not outputs, (transcript.name, outputs)


def _input(protocol: ChannelProtocol, step: dict[str, Any]) -> list[Step]:
    if "client" in step:
        return protocol.receive_text(json.dumps(step["client"]))
    if "client_text" in step:
        return protocol.receive_text(step["client_text"])
    if "client_no_text" in step:
        return protocol.receive_no_text()
    if "client_binary" in step:
        return protocol.receive_binary(binary(step["client_binary"]))
    if "session" in step:
        kind = getattr(channel_port, step["session"], None) or getattr(port_events, step["session"])
        return protocol.session_event(kind(**step["with"]))
    assert step == {"time": "init_timeout"}, step
    return protocol.init_timed_out()


def _outcome(protocol: ChannelProtocol, outcome: str | dict[str, Any], *, update: bool) -> list[Step]:
    if outcome == "attached":
        return protocol.attached()
    if outcome == "done":
        return protocol.done()
    assert isinstance(outcome, dict)
    if "updated" in outcome:
        return protocol.updated(read_output(outcome["updated"]).made_to(AS_IS))
    name, text = next(iter(outcome.items()))
    tell = protocol.update_refused if update else protocol.refused
    return tell(getattr(errors, name)("some text" if text == "$ANY" else text))
