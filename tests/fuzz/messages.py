"""Frames that a client may send: honest messages, each with some members replaced, left out or added, and texts and
bytes that are no messages at all.
"""

from __future__ import annotations

import base64
import json
from typing import Any

from hypothesis import strategies as st

from visavis.channel.handshake import FEATURES

RATES_HZ = st.sampled_from([8_000, 11_025, 16_000, 22_050, 44_100, 48_000]) | st.integers(8_000, 48_000)
ANY_RATES_HZ = st.integers(-1, 1_000_000_000) | st.sampled_from([0, 1, 7_999, 48_001, 2**31, 2**63, 2**64, 10**30])
PCM = st.binary(max_size=64) | st.integers(0, 4_000).map(bytes) | st.sampled_from([b"\xff\x7f" * 200, b"\0\x80" * 333])

ODD_NUMBERS = st.sampled_from([0, -0.0, -1, 1e308, 5e-324, 2**31, 2**53 + 1, 2**63, 10**400, -(10**400), 0.5, True])
ODD_TEXTS = st.sampled_from(
    ["", "\0", "\ud800", "a\0b", "NaN", "null", "x" * 129, "x" * 5_000, "\u202e", "😀", "${jndi}"]
)
LEAVES = st.none() | ODD_NUMBERS | ODD_TEXTS | st.integers() | st.floats() | st.text(max_size=8)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4) | ODD_TEXTS, inner, max_size=3),
    max_leaves=6,
)

UTTERANCES = st.sampled_from(["a", "b", "utt_1", "utt_2", "x" * 128])
EMOTIONS = st.sampled_from(["happy", {"name": "sad", "weight": 0.5}, {"name": "serious", "weight": 1}, "neutral"])
PHONES = st.fixed_dictionaries(
    {
        "symbol": st.sampled_from(["a", "m", "tʃ", "AA", "P", "21", 21, ""]) | ODD_TEXTS,
        "start_ms": st.floats(-1, 200) | st.integers(0, 200) | ODD_NUMBERS,
        "end_ms": st.floats(-1, 200) | st.integers(0, 200) | ODD_NUMBERS,
    }
)
AUDIO = PCM.map(lambda pcm: base64.b64encode(pcm).decode()) | st.sampled_from(
    ["", "=", "AA=A", "A", "AA\nAA", "*", "é"]
)
OUTPUTS = st.fixed_dictionaries(
    {},
    optional={
        "background": st.sampled_from([{"type": "blur", "strength": 0.5}, {"type": "color", "color": "#abc"}, None])
        | VALUES,
        "framing": st.fixed_dictionaries({}, optional={"zoom": st.floats() | ODD_NUMBERS, "x": LEAVES}) | VALUES,
        "emotion": EMOTIONS | VALUES,
    },
)

HONEST: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "agent.speak": st.fixed_dictionaries(
        {"audio": AUDIO},
        optional={
            "sample_rate": RATES_HZ | ANY_RATES_HZ,
            "utterance_id": UTTERANCES,
            "final": st.booleans(),
            "phonemes": st.lists(PHONES, max_size=6) | VALUES,
            "alphabet": st.sampled_from(["ipa", "arpabet", "sapi", "azure"]) | LEAVES,
            "emotion": EMOTIONS | VALUES,
        },
    ),
    "agent.say": st.fixed_dictionaries(
        {"text": st.text(max_size=40) | st.sampled_from(["Hello. You?", "<break/>", '<break time="x"/>', "```", "3."])},
        optional={
            "utterance_id": UTTERANCES,
            "final": st.booleans(),
            "voice": LEAVES,
            "language": st.sampled_from(["de", "en-GB", "?"]) | LEAVES,
        },
    ),
    "agent.interrupt": st.just({}),
    "agent.state": st.fixed_dictionaries({"state": st.sampled_from(["listening", "thinking", "speaking", "idle"])}),
    "audio.format": st.fixed_dictionaries({"sample_rate": RATES_HZ | ANY_RATES_HZ}),
    "session.update": st.fixed_dictionaries({"output": OUTPUTS | VALUES}),
    "ack": st.fixed_dictionaries({"seq": st.integers(-1, 60) | ODD_NUMBERS}),
    "session.init": st.just({"session_id": "s", "session_token": "t"}),
    "unknown": st.just({}),
}
MEMBERS = sorted(
    {"type", "audio", "text", "sample_rate", "utterance_id", "final", "phonemes", "emotion", "output", "state", "seq"}
)


@st.composite
def messages(draw: st.DrawFn) -> str:
    """Draw a text frame: mostly a message, of which one member may be odd, sometimes damaged or no JSON at all."""
    kind = draw(st.sampled_from(sorted(HONEST)))
    message: dict[str, Any] = {"type": kind, **draw(HONEST[kind])}
    if draw(st.integers(0, 3)) == 0:
        message[draw(st.sampled_from(MEMBERS) | st.text(max_size=5))] = draw(VALUES)
    text = json.dumps(message, ensure_ascii=draw(st.booleans()))
    match draw(st.integers(0, 11)):
        case 0:
            return text[: draw(st.integers(0, len(text)))]
        case 1:
            at = draw(st.integers(0, len(text)))
            return text[:at] + draw(st.text(max_size=3) | st.sampled_from(["[", "{", "\\", '"', ","])) + text[at:]
        case 2:
            return draw(st.text(max_size=20) | st.sampled_from(["[" * 70, "{", "null", "[]", "\ufeff{}", "1e999"]))
    return text


ROOM = {"platform": "daily", "url": "u", "token": "r"}
INITS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"type": st.just("session.init")},
    optional={
        "session_id": st.just("s") | VALUES,
        "session_token": st.just("t") | VALUES,
        "access_token": st.just("t") | VALUES,
        "features": st.lists(st.sampled_from(sorted(FEATURES)), max_size=4) | VALUES,
        "hold_for_viewer_s": st.floats() | ODD_NUMBERS | VALUES,
        "resume": st.fixed_dictionaries({"received": st.integers(-1, 9) | VALUES}) | VALUES,
        "config": st.fixed_dictionaries(
            {"session_id": st.just("s"), "access_token": st.just("t"), "room": st.just(ROOM) | VALUES},
            optional={
                "video_width": st.sampled_from([1280, 512, 64]) | st.integers(-4, 4_000) | VALUES,
                "video_height": st.sampled_from([720, 512, 64]) | st.integers(-4, 4_000) | VALUES,
                "features": VALUES,
            },
        )
        | VALUES,
    },
)
"""First messages, most of which are refused."""
