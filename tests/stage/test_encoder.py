from __future__ import annotations

import wave

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from visavis.library import SAMPLE
from visavis.rooms.port import EncodedPacket
from visavis.stage.encoder import OPUS_DELAY_SAMPLES, AudioEncoder, VideoEncoder, bit_rate
from visavis.stage.timeline import BLOCK_SAMPLES, PLAYOUT_RATE_HZ

WIDTH_PX, HEIGHT_PX = 192, 128
FRAME_SAMPLES = PLAYOUT_RATE_HZ // 25


def picture(number: int) -> NDArray[np.uint8]:
    """Return I420 of a bright square on a gradient; its place depends on `number`."""
    i420 = np.full((HEIGHT_PX * 3 // 2, WIDTH_PX), 128, np.uint8)
    i420[:HEIGHT_PX] = np.arange(WIDTH_PX) // 2 + 40
    i420[40:70, 10 + number * 2 : 40 + number * 2] = 220
    return i420


def encode(encoder: VideoEncoder, numbers: range) -> list[EncodedPacket]:
    packets = [encoder.encode(picture(n), n * FRAME_SAMPLES) for n in numbers]
    return [p for p in packets if p is not None]


def decode(packets: list[EncodedPacket]) -> list[NDArray[np.uint8]]:
    codec = av.CodecContext.create("libvpx", "r")
    frames = [frame for packet in packets for frame in codec.decode(av.Packet(packet.data))]
    return [np.asarray(frame.to_ndarray(format="yuv420p"), np.uint8) for frame in frames]


def test_every_picture_is_encoded_at_once_and_decodes_to_itself() -> None:
    packets = encode(VideoEncoder(width_px=WIDTH_PX, height_px=HEIGHT_PX, fps=25), range(20))
    assert [p.position for p in packets] == [n * FRAME_SAMPLES for n in range(20)]
    for number, seen in enumerate(decode(packets)):
        assert np.abs(seen.astype(int) - picture(number)).mean() < 3


def test_only_the_first_picture_is_a_keyframe_until_one_is_wanted() -> None:
    encoder = VideoEncoder(width_px=WIDTH_PX, height_px=HEIGHT_PX, fps=25)
    assert [p.keyframe for p in encode(encoder, range(20))] == [True] + [False] * 19
    encoder.want_keyframe(joining=True)
    late = encode(encoder, range(20, 25))
    assert [p.keyframe for p in late] == [True] + [False] * 4
    assert np.abs(decode(late)[-1].astype(int) - picture(24)).mean() < 3, "a viewer that joins later decodes from there"


def test_keyframes_that_viewers_ask_for_are_half_a_second_apart() -> None:
    encoder = VideoEncoder(width_px=WIDTH_PX, height_px=HEIGHT_PX, fps=25)
    keyframes = []
    for n in range(50):
        encoder.want_keyframe(joining=False)
        if any(p.keyframe for p in encode(encoder, range(n, n + 1))):
            keyframes.append(n)
    assert keyframes == [0, 13, 26, 39]


def test_a_viewer_that_joins_right_after_a_keyframe_waits_100_ms() -> None:
    encoder = VideoEncoder(width_px=WIDTH_PX, height_px=HEIGHT_PX, fps=25)
    encode(encoder, range(1))
    encoder.want_keyframe(joining=True)
    assert [p.keyframe for p in encode(encoder, range(1, 6))] == [False, False, True, False, False]


def test_another_share_of_the_bit_rate_begins_with_a_keyframe_and_takes_fewer_bits() -> None:
    encoder = VideoEncoder(width_px=WIDTH_PX, height_px=HEIGHT_PX, fps=25)
    noise = np.random.default_rng(1)

    def noisy(i420: NDArray[np.uint8]) -> NDArray[np.uint8]:
        seen: NDArray[np.uint8] = i420 + noise.integers(0, 12, i420.shape, np.uint8)
        return seen

    def encoded_bits(numbers: range) -> list[EncodedPacket]:
        pictures = ((n, noisy(picture(n % 40))) for n in numbers)
        packets = [encoder.encode(one, n * FRAME_SAMPLES) for n, one in pictures]
        return [p for p in packets if p is not None]

    full = encoded_bits(range(100))
    encoder.set_share(0.35)
    encoder.set_share(0.35)
    less = encoded_bits(range(100, 200))
    assert [p.keyframe for p in less][:2] == [True, False] and sum(p.keyframe for p in less) == 1
    assert sum(len(p.data) for p in less) < 0.6 * sum(len(p.data) for p in full)
    encoder.set_share(1.0)
    assert [p.keyframe for p in encoded_bits(range(200, 203))][:1] == [True]


@pytest.mark.parametrize(
    ("size", "kbps"), [((512, 512), 700), ((1280, 720), 1797), ((64, 64), 250), ((1920, 1920), 2500)]
)
def test_the_bit_rate_follows_the_area(size: tuple[int, int], kbps: int) -> None:
    assert bit_rate(*size) // 1000 == kbps


def carries_redundancy(packet: EncodedPacket) -> bool:
    """Whether a packet of one frame of 20 ms holds the frame before once more (RFC 6716, sections 3.1 and 4.2.4)."""
    is_celt_alone = packet.data[0] & 0x80 != 0
    return not is_celt_alone and packet.data[1] & 0x40 != 0


def test_sound_carries_redundancy_while_a_loss_is_expected() -> None:
    with wave.open(str(SAMPLE)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), np.int16)
        speech = np.repeat(samples, PLAYOUT_RATE_HZ // file.getframerate())
    encoder = AudioEncoder()

    def redundant_share(first: int) -> float:
        blocks = [speech[at : at + BLOCK_SAMPLES] for at in range(first, first + 2 * PLAYOUT_RATE_HZ, BLOCK_SAMPLES)]
        packets = [encoder.encode(block, first) for block in blocks]
        return sum(map(carries_redundancy, packets)) / len(packets)

    assert redundant_share(0) == 0
    encoder.expect_loss(10)
    assert redundant_share(0) > 0.5
    encoder.expect_loss(0)
    assert redundant_share(0) == 0


@pytest.mark.parametrize(("amplitude", "level"), [(32767, 3), (3277, 23), (1, 92), (0, 127)])
def test_a_packet_of_sound_tells_how_loud_it_is(amplitude: int, level: int) -> None:
    tone = np.rint(np.sin(2 * np.pi * 400 * np.arange(BLOCK_SAMPLES) / PLAYOUT_RATE_HZ) * amplitude).astype(np.int16)
    assert AudioEncoder().encode(tone, 0).level == level


@pytest.mark.parametrize("expected_loss_percent", [0, 10])
def test_decoded_sound_is_at_the_position_of_its_packets(expected_loss_percent: int) -> None:
    encoder = AudioEncoder()
    encoder.expect_loss(expected_loss_percent)
    sound = np.zeros(BLOCK_SAMPLES * 20, np.int16)
    sound[9600:] = (np.sin(2 * np.pi * 440 * np.arange(9600) / PLAYOUT_RATE_HZ) * 9000).astype(np.int16)
    packets = [encoder.encode(sound[at : at + BLOCK_SAMPLES], at) for at in range(0, len(sound), BLOCK_SAMPLES)]
    assert packets[0].position == -OPUS_DELAY_SAMPLES
    codec = av.CodecContext.create("libopus", "r")
    decoded = np.concatenate(
        [
            f.to_ndarray().reshape(-1, len(f.layout.channels))[:, 0]
            for p in packets
            for f in codec.decode(av.Packet(p.data))
        ]
    )
    onset = int(np.argmax(np.abs(decoded) > 2000)) + packets[0].position
    assert abs(onset - 9600) < 100
