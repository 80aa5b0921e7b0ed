"""Encodings of audio: converted as FFmpeg converts them, and told when another one is sent than is named."""

from __future__ import annotations

import base64
import json
from functools import cache
from typing import Any, Literal

import av
import numpy as np
import pytest
import soxr
from numpy.typing import NDArray

from tests.sounds import tone
from visavis.channel.actions import Send, Speak
from visavis.channel.encoding_check import EncodingCheck
from visavis.channel.encodings import ENCODINGS, Encoding, to_pcm16
from visavis.channel.protocol import ChannelProtocol
from visavis.engine.audio.files import read_speech
from visavis.errors import OddAudioLength
from visavis.library import GREETING, SAMPLE


def _context(codec: str, mode: Literal["r", "w"]) -> av.AudioCodecContext:
    context = av.CodecContext.create(codec, mode)
    assert isinstance(context, av.AudioCodecContext)
    context.sample_rate, context.layout = 8000, "mono"
    return context


def by_ffmpeg(samples: NDArray[np.int16], codec: str) -> bytes:
    context = _context(codec, "w")
    context.format = "s16"
    frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
    frame.sample_rate = 8000
    return b"".join(bytes(packet) for part in (frame, None) for packet in context.encode(part))


def levels_by_ffmpeg(codes: bytes, codec: str) -> list[int]:
    context = _context(codec, "r")
    found = [frame.to_ndarray() for frame in context.decode(av.Packet(codes))]
    return [int(one) for one in np.concatenate(found, axis=1)[0]]


def in_encoding(samples: NDArray[np.int16], name: str) -> bytes:
    match name:
        case "mulaw" | "alaw":
            return by_ffmpeg(samples, f"pcm_{name}")
        case "pcm_f32le":
            return (samples.astype("<f4") / 32768).tobytes()
        case "pcm_s16be":
            return samples.astype(">i2").tobytes()
        case "pcm_u8":
            return ((samples >> 8) + 128).astype(np.uint8).tobytes()
        case _:
            return samples.astype("<i2").tobytes()


@cache
def voices() -> list[NDArray[np.int16]]:
    """The sentences of the library, at the rates that telephones and synthesisers use."""
    found = []
    for path in (GREETING, SAMPLE):
        samples, rate_hz = read_speech(path)
        for wanted_hz in (8000, 24_000):
            resampled = soxr.resample(samples[: 4 * rate_hz] / np.float32(32768), rate_hz, wanted_hz)
            found.append((resampled * 32767).clip(-32768, 32767).astype(np.int16))
    return found


def told(raw: bytes, encoding: Encoding, *, piece_bytes: int) -> list[str]:
    """Return what is suspected of audio that comes in pieces."""
    check = EncodingCheck()
    looked = [check.look(raw[at : at + piece_bytes], encoding) for at in range(0, len(raw), piece_bytes)]
    return [one for one in looked if one is not None]


@pytest.mark.parametrize("encoding", ["mulaw", "alaw"])
def test_every_byte_of_g711_is_the_sample_that_ffmpeg_makes_of_it(encoding: Encoding) -> None:
    codes = bytes(range(256))
    pcm = np.frombuffer(to_pcm16(codes, encoding), "<i2")
    assert pcm.tolist() == levels_by_ffmpeg(codes, f"pcm_{encoding}")


def test_floats_are_scaled_clipped_and_no_number_is_silence() -> None:
    given = np.array([0, 0.5, -0.5, 1, -1], "<f4")
    assert np.frombuffer(to_pcm16(given.tobytes(), "pcm_f32le"), "<i2").tolist() == [0, 16384, -16384, 32767, -32767]
    odd = np.array([3, -3, np.nan, np.inf, -np.inf, 0.5], "<f4")
    assert np.frombuffer(to_pcm16(odd.tobytes(), "pcm_f32le"), "<i2").tolist() == [
        32767, -32767, 0, 32767, -32767, 16384,
    ]  # fmt: skip
    assert to_pcm16(b"", "pcm_f32le") == b""
    with pytest.raises(OddAudioLength):
        to_pcm16(b"\0" * 6, "pcm_f32le")


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_speech_in_its_own_encoding_is_never_suspected(encoding: Encoding) -> None:
    for samples in voices():
        for gain in (0.01, 0.1, 1.0):
            assert told(in_encoding((samples * gain).astype(np.int16), encoding), encoding, piece_bytes=3200) == []


def test_tones_noise_and_silence_are_never_suspected() -> None:
    noise = np.random.default_rng(1)
    sounds = [np.zeros(9600, np.int16)]
    loudness = (2, 50, 1000, 9000, 30_000)
    sounds += [noise.normal(0, level, 9600).clip(-32768, 32767).astype(np.int16) for level in loudness]
    for rate_hz in (8000, 48_000):
        for hz in (50, 440, 3900, 7900):
            sine = tone(rate_hz, seconds=0.5, hz=hz, level=1.0)
            sounds += [(sine * level).astype(np.int16) for level in (3, 32_000)]
            sounds.append((np.sign(sine) * 12_000).astype(np.int16))
    for encoding in ENCODINGS:
        for samples in sounds:
            assert told(in_encoding(samples, encoding), encoding, piece_bytes=8192) == []


SENT = [
    (sent, taken)
    for sent in (*ENCODINGS, "pcm_s16be", "pcm_u8")
    for taken in ENCODINGS
    if sent != taken and {sent, taken} != {"mulaw", "alaw"}  # these are heard as distorted speech
]


@pytest.mark.parametrize(("sent", "taken"), SENT)
@pytest.mark.parametrize("piece_bytes", [160, 1_000_000])
def test_another_encoding_is_named_whatever_pieces_it_comes_in(sent: str, taken: Encoding, piece_bytes: int) -> None:
    for samples in voices():
        raw = in_encoding(samples, sent)
        loud = int(np.argmax(np.abs(samples) > 2000)) * len(raw) // len(samples) // 4 * 4
        found = told(raw[loud:], taken, piece_bytes=piece_bytes)
        assert found[:1] == [sent], (sent, taken, len(samples))


def opened(*features: str) -> ChannelProtocol:
    protocol = ChannelProtocol()
    init = {"type": "session.init", "session_id": "s", "session_token": "t", "features": features}
    protocol.receive_text(json.dumps(init))
    protocol.attach_succeeded()
    return protocol


def speak(protocol: ChannelProtocol, raw: bytes, **members: Any) -> list[Any]:
    message = {"type": "agent.speak", "audio": base64.b64encode(raw).decode(), **members}
    actions = protocol.receive_text(json.dumps(message))
    assert isinstance(actions[-1], Speak)
    protocol.speech_queued(len(actions[-1].speech.pcm) // 2)
    return [action.message.model_dump() for action in actions[:-1] if isinstance(action, Send)]


def test_a_client_is_warned_once_if_it_can_know_of_it() -> None:
    voice = in_encoding(voices()[0], "mulaw")
    text = "The audio sounds like mulaw; it is taken as pcm_s16le"
    warning = {"type": "warning", "warning": text, "encoding": "mulaw"}
    curious = opened("metrics")
    assert speak(curious, voice) == [warning] and speak(curious, voice) == []
    assert curious.speech.take_suspected_encoding() == "mulaw" and curious.speech.take_suspected_encoding() is None

    silent = opened()
    assert speak(silent, voice) == [] and silent.speech.take_suspected_encoding() == "mulaw"

    knowing = opened()
    assert speak(knowing, voice, encoding="pcm_s16le") == [warning]
    right = opened("metrics")
    assert speak(right, voice, encoding="mulaw", sample_rate=8000) == []


def test_after_a_piece_that_is_cut_within_a_sample_nothing_is_suspected() -> None:
    pcm = in_encoding(voices()[0], "pcm_s16le")
    protocol = opened("metrics")
    assert speak(protocol, pcm[:3201]) == [] and speak(protocol, pcm[3201:30_001]) == []


def test_a_sound_file_is_refused_whatever_encoding_it_is_called() -> None:
    protocol = opened()
    actions = protocol.receive_text(
        '{"type": "agent.speak", "audio": "UklGRiQAAABXQVZFZm10IBAAAAA=", "encoding": "mulaw"}'
    )
    (refused,) = actions
    assert isinstance(refused, Send) and refused.message.model_dump()["code"] == "INVALID_AUDIO"
