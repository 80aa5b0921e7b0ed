"""Annotations of speech as they reach the session: visemes from every alphabet, moods, and none that was refused."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from visavis.channel.actions import Action, Attach, Send, Speak
from visavis.channel.protocol import ChannelProtocol
from visavis.channel.server_messages import ErrorMessage, SpeakConfirmed
from visavis.engine.motion.mood import Mood
from visavis.engine.speech.phones import CLASSES

AUDIO = base64.b64encode(bytes(6400)).decode()  # 200 ms
PHONEMES: dict[str, list[tuple[Any, float, float]]] = {
    "ipa": [("p", 0, 80), ("aː", 80, 200)],
    "arpabet": [("P", 0, 80), ("AA0", 80, 200)],
    "sapi": [(21, 0, 80), ("2", 80, 200)],
}


@pytest.fixture
def protocol() -> ChannelProtocol:
    protocol = ChannelProtocol()
    (attach,) = protocol.receive_text(
        json.dumps({"type": "session.init", "session_id": "sess_1", "session_token": "t"})
    )
    assert isinstance(attach, Attach)
    protocol.attach_succeeded()
    return protocol


def speak(protocol: ChannelProtocol, **members: Any) -> list[Action]:
    return protocol.receive_text(json.dumps({"type": "agent.speak", "audio": AUDIO, **members}))


def as_phonemes(rows: list[tuple[Any, float, float]]) -> list[dict[str, Any]]:
    return [{"symbol": symbol, "start_ms": start, "end_ms": end} for symbol, start, end in rows]


@pytest.mark.parametrize("alphabet", PHONEMES)
def test_phonemes_of_every_alphabet_reach_the_session_as_visemes(protocol: ChannelProtocol, alphabet: str) -> None:
    (effect,) = speak(protocol, phonemes=as_phonemes(PHONEMES[alphabet]), alphabet=alphabet)
    assert isinstance(effect, Speak) and effect.speech.visemes is not None
    assert [(CLASSES[v.viseme], v.start_ms, v.end_ms) for v in effect.speech.visemes] == [
        ("PP", 0, 80),
        ("AA", 80, 200),
    ]
    assert effect.speech.mood is None


def test_refused_phonemes_are_reported_in_order_and_their_speech_is_spoken(protocol: ChannelProtocol) -> None:
    (first,) = speak(protocol)
    (second,) = speak(protocol, phonemes=as_phonemes([("p", 0, 9000)]), emotion="sad")
    assert isinstance(first, Speak) and isinstance(second, Speak)
    assert second.speech.visemes is None and second.speech.mood == Mood(sad=1.0) and len(second.speech.pcm) == 6400
    confirmed, refused = (action.message for action in protocol.speech_queued(3200) if isinstance(action, Send))
    assert (
        isinstance(confirmed, SpeakConfirmed)
        and isinstance(refused, ErrorMessage)
        and refused.code == "INVALID_PHONEMES"
    )
    (confirmed,) = (action.message for action in protocol.speech_queued(3200) if isinstance(action, Send))
    assert confirmed == SpeakConfirmed(audio_samples=3200)


def test_integers_too_large_for_a_float_are_refused(protocol: ChannelProtocol) -> None:
    text = json.dumps({"type": "agent.speak", "audio": AUDIO, "phonemes": as_phonemes([("p", 0, 1)])}).replace(
        '"end_ms": 1', '"end_ms": ' + "9" * 400
    )
    refused, effect = protocol.receive_text(text)
    assert isinstance(refused, Send) and isinstance(effect, Speak) and effect.speech.visemes is None


@pytest.mark.parametrize(
    ("emotion", "mood"),
    [
        ("happy", Mood(happy=1.0)),
        ({"name": "serious", "weight": 0.25}, Mood(serious=0.25)),
        ("neutral", Mood()),
        (None, None),
    ],
)
def test_an_emotion_reaches_the_session_as_a_mood(protocol: ChannelProtocol, emotion: Any, mood: Mood | None) -> None:
    (effect,) = speak(protocol, emotion=emotion)
    assert isinstance(effect, Speak) and effect.speech.mood == mood


def test_speech_without_annotations_has_no_visemes_and_no_mood(protocol: ChannelProtocol) -> None:
    (effect,) = speak(protocol)
    assert isinstance(effect, Speak) and effect.speech.visemes is None and effect.speech.mood is None
