"""Golden transcripts of the channel: their format, and their replay against the pure protocol.

A transcript is JSON lines. The first line holds `title`. For a replay against a real server it also holds `wire: true`
and the status of the `session` (created | started | ended, default started). Then, in order:
    {"client": {…}} {"client_text": "…"} {"client_binary": "…"}      a frame from the client
    {"client_no_text": true}                                         a text frame that is not UTF-8
    {"time": "init_timeout"}                                         a timeout
    {"effect": "Speak", "with": {…}, "outcome": "done"}  an effect that the protocol returns, and its outcome: done,
                                                         attached, failed, {Error: text}, {updated: output} or
                                                         {samples: n}, where speech completed n samples, or
                                                         {utterance: id}, where text was queued
    {"session": "PlaybackStarted", "with": {…}}                      an event of the session
    {"server": {…}} {"close": 4400, "reason": "…"}     what the client must receive next, every member of it
$SESSION, $TOKEN, $ROOM_URL and $ROOM_TOKEN stand for those of the session; $PCM:n for n samples of silence; $BYTES:n
for n bytes of 0; $MULAW:n for n samples of a tone in µ-law; $ANY for any text.
"""

from __future__ import annotations

import base64
import json
import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from visavis import errors
from visavis.channel import port as channel_port
from visavis.channel.actions import Action, Attach, Close, Interrupt, Say, Send, Speak, Update
from visavis.channel.encodings import to_pcm16
from visavis.channel.protocol import ChannelProtocol
from visavis.engine.output import DEFAULT_OUTPUT
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


def fill_placeholders(value: Any, names: dict[str, str]) -> Any:
    """Replace the placeholders by the session's values and by audio."""
    if isinstance(value, dict):
        return {key: fill_placeholders(member, names) for key, member in value.items()}
    if isinstance(value, list):
        return [fill_placeholders(member, names) for member in value]
    if isinstance(value, str) and value.startswith("$PCM:"):
        return base64.b64encode(bytes(2 * int(value[5:]))).decode()
    if isinstance(value, str) and value.startswith("$BYTES:"):
        return base64.b64encode(bytes(int(value[7:]))).decode()
    if isinstance(value, str) and value.startswith("$MULAW:"):
        return base64.b64encode(_mulaw_tone(int(value[7:]))).decode()
    return names.get(value, value) if isinstance(value, str) else value


def _mulaw_tone(samples: int) -> bytes:
    """Return a tone of 400 Hz at 8 kHz."""
    levels = struct.unpack("<256h", to_pcm16(bytes(range(256)), "mulaw"))
    period = [9000 * math.sin(math.tau * n / 20) for n in range(20)]
    codes = bytes(min(range(256), key=lambda code: abs(levels[code] - wanted)) for wanted in period)
    return (codes * (samples // 20 + 1))[:samples]


def binary(value: str) -> bytes:
    assert value.startswith("$BYTES:")
    return bytes(int(value[7:]))


def assert_same(received: Any, expected: Any) -> None:
    """Assert the same members, order, values and types. $ANY matches any text that is not empty."""
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
    """Replay against the protocol alone. After each input it must return exactly the actions that follow in the
    transcript.
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
    actions: list[Action] = []
    for number, raw in enumerate(transcript.steps, start=2):
        step = fill_placeholders(raw, names) if "client_binary" not in raw else raw
        place = f"{transcript.name}:{number}"
        if "server" in step:
            sent = actions.pop(0)
            assert isinstance(sent, Send), (place, sent)
            assert_same(json.loads(sent.message.model_dump_json()), step["server"])
            continue
        if "close" in step:
            closed = actions.pop(0)
            assert isinstance(closed, Close) and closed.code == step["close"], (place, closed)
            assert_same(closed.reason, step["reason"])
            continue
        if "effect" in step:
            effect = actions.pop(0)
            assert type(effect).__name__ == step["effect"] and not actions, (place, effect)
            values: object = effect
            if isinstance(effect, Attach | Speak | Say):
                values = getattr(effect, {Attach: "init", Speak: "speech", Say: "piece"}[type(effect)])
            for name, value in step.get("with", {}).items():
                assert getattr(values, name) == value, (place, name)
            actions = _report_outcome(protocol, step["outcome"], effect)
            continue
        assert not actions, (place, actions)
        actions = _pass_in(protocol, step)
    assert not actions, (transcript.name, actions)


def _pass_in(protocol: ChannelProtocol, step: dict[str, Any]) -> list[Action]:
    if "client" in step:
        return protocol.receive_text(json.dumps(step["client"]))
    if "client_text" in step:
        return protocol.receive_text(step["client_text"])
    if "client_no_text" in step:
        return protocol.receive_invalid_text()
    if "client_binary" in step:
        return protocol.receive_binary(binary(step["client_binary"]))
    if "session" in step:
        kind = getattr(channel_port, step["session"], None) or getattr(port_events, step["session"])
        return protocol.receive_event(kind(**step["with"]))
    assert step == {"time": "init_timeout"}, step
    return protocol.init_timed_out()


def _report_outcome(protocol: ChannelProtocol, outcome: str | dict[str, Any], effect: Action) -> list[Action]:
    if outcome == "attached":
        return protocol.attach_succeeded()
    if outcome == "done":
        if isinstance(effect, Speak):
            return protocol.speech_queued(len(effect.speech.pcm) // 2)
        if isinstance(effect, Interrupt):
            return protocol.interrupt_succeeded()
        return protocol.effect_succeeded()
    if outcome == "failed":
        return protocol.server_failed()
    assert isinstance(outcome, dict)
    if "updated" in outcome:
        return protocol.update_succeeded(read_output(outcome["updated"]).apply_to(DEFAULT_OUTPUT))
    if "samples" in outcome:
        return protocol.speech_queued(outcome["samples"], outcome.get("queued_s", 0.0))
    if "utterance" in outcome:
        return protocol.text_queued(outcome["utterance"])
    name, text = next(iter(outcome.items()))
    report_error = protocol.update_failed if isinstance(effect, Update) else protocol.effect_failed
    return report_error(getattr(errors, name)("some text" if text == "$ANY" else text))
