"""A sound file sent as speech is refused from its first piece to its last; speech is never refused."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest
import soxr

from tests.sounds import wav, write_sound
from visavis.channel.actions import Action, Send, Speak
from visavis.channel.protocol import ChannelProtocol
from visavis.channel.server_messages import ErrorMessage
from visavis.channel.sound_files import PAUSE_S
from visavis.engine.audio.files import read_speech
from visavis.library import GREETING, SAMPLE

KINDS = {"mp3": "MP3", "m4a": "M4A", "webm": "WebM", "ogg": "Ogg", "flac": "FLAC"}


@pytest.fixture
def protocol() -> ChannelProtocol:
    protocol = ChannelProtocol()
    init = {"type": "session.init", "session_id": "s", "session_token": "t", "features": ["binary"]}
    protocol.receive_text(json.dumps(init))
    protocol.attach_succeeded()
    return protocol


def speak(protocol: ChannelProtocol, audio: bytes, **members: object) -> list[Action]:
    message = {"type": "agent.speak", "audio": base64.b64encode(audio).decode(), **members}
    return protocol.receive_text(json.dumps(message))


def is_spoken(protocol: ChannelProtocol, actions: list[Action]) -> bool:
    """Whether the piece is accepted. Otherwise it is refused as a sound file."""
    (action,) = actions
    if isinstance(action, Speak):
        protocol.speech_queued(len(action.speech.pcm) // 2)
        return True
    assert isinstance(action, Send) and isinstance(action.message, ErrorMessage), action
    assert action.message.code == "INVALID_AUDIO" and "not raw PCM16" in action.message.error
    return False


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("files")
    speech = soxr.resample(read_speech(SAMPLE)[0] / np.float32(32768), 16_000, 48_000)
    return {kind: write_sound(folder / f"speech.{kind}", speech, 48_000).read_bytes() for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("binary", [False, True])
def test_a_whole_file_is_refused_by_its_kind(
    kind: str, binary: bool, files: dict[str, bytes], protocol: ChannelProtocol
) -> None:
    (action,) = protocol.receive_binary(files[kind]) if binary else speak(protocol, files[kind], final=True)
    assert isinstance(action, Send) and isinstance(action.message, ErrorMessage)
    assert action.message.code == "INVALID_AUDIO" and action.message.error.startswith(f"audio is {KINDS[kind]}, ")


@pytest.mark.parametrize("kind", [*KINDS, "wav"])
@pytest.mark.parametrize("size", [1_021, 4_096, 9_999])
def test_a_file_in_pieces_is_refused_to_its_end(
    kind: str, size: int, files: dict[str, bytes], protocol: ChannelProtocol
) -> None:
    data = wav(read_speech(GREETING)[0], 16_000, data_size=0) if kind == "wav" else files[kind]
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    assert not any(is_spoken(protocol, speak(protocol, piece)) for piece in pieces)


def test_each_of_several_files_is_refused(files: dict[str, bytes], protocol: ChannelProtocol) -> None:
    sentence = wav(read_speech(GREETING)[0][:16_000], 16_000)
    for number in range(3):
        assert not is_spoken(protocol, speak(protocol, sentence, utterance_id=str(number), final=True))
    assert not is_spoken(protocol, speak(protocol, files["mp3"]))
    assert not is_spoken(protocol, speak(protocol, files["ogg"]))


@pytest.mark.parametrize("end", ["final", "final, empty", "interrupt", "another utterance", "a pause"])
def test_after_the_utterance_of_a_file_speech_is_spoken(
    end: str, files: dict[str, bytes], protocol: ChannelProtocol
) -> None:
    speech = read_speech(SAMPLE)[0][16_000:20_000].tobytes()
    assert not is_spoken(protocol, speak(protocol, files["mp3"], utterance_id="a"))
    assert not is_spoken(protocol, speak(protocol, speech, final=end == "final"))
    if end == "final, empty":
        assert is_spoken(protocol, speak(protocol, b"", final=True))
    if end == "interrupt":
        protocol.receive_text('{"type": "agent.interrupt"}')
        protocol.interrupt_succeeded()
    if end == "another utterance":
        assert is_spoken(protocol, speak(protocol, speech, utterance_id="b"))
    if end == "a pause":
        message = json.dumps({"type": "agent.speak", "audio": base64.b64encode(speech).decode()})
        assert not is_spoken(protocol, protocol.receive_text(message, 5, PAUSE_S - 0.01))
        assert not is_spoken(protocol, protocol.receive_text(message, 6, 2 * PAUSE_S - 0.02))
        assert is_spoken(protocol, protocol.receive_text(message, 7, 3 * PAUSE_S))
    assert is_spoken(protocol, speak(protocol, speech))


@pytest.mark.parametrize("size", [321, 640, 4_096])
def test_speech_and_noise_are_spoken(size: int, protocol: ChannelProtocol) -> None:
    noise = np.random.default_rng(1).integers(-32768, 32767, 40_000).astype("<i2").tobytes()
    pcm = read_speech(SAMPLE)[0].tobytes() + noise
    assert all(is_spoken(protocol, speak(protocol, pcm[at : at + size])) for at in range(0, len(pcm), size))


def test_a_file_is_refused_once_whatever_its_annotations_are(
    files: dict[str, bytes], protocol: ChannelProtocol
) -> None:
    assert not is_spoken(protocol, speak(protocol, files["mp3"], emotion="furious", phonemes=[1], final=True))
    assert is_spoken(protocol, speak(protocol, bytes(320), final=True))
