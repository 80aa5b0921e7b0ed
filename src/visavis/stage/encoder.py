"""Encodes pictures as VP8 and sound as Opus, once per session for any number of viewers. Synchronous; one thread."""

from __future__ import annotations

import math
from fractions import Fraction

import av
import numpy as np
from av.video.frame import PictureType
from numpy.typing import NDArray

from visavis.rooms.port import SILENT_LEVEL, EncodedPacket
from visavis.stage.timeline import BLOCK_SAMPLES, PLAYOUT_RATE_HZ, SAMPLES_PER_MS

TIME_BASE = Fraction(1, PLAYOUT_RATE_HZ)
BITS_PER_S_AT_512 = 700_000  # enough for a talking head with a still background, 512x512 at 25 frames a second
MIN_BITS_PER_S, MAX_BITS_PER_S = 250_000, 2_500_000
OPUS_BITS_PER_S = 48_000  # transparent for mono speech
KEYFRAME_GAP_SAMPLES = 500 * SAMPLES_PER_MS  # the least time between keyframes that viewers ask for
JOIN_GAP_SAMPLES = 100 * SAMPLES_PER_MS  # the same for a viewer that has no picture yet


def bit_rate(width_px: int, height_px: int) -> int:
    """Return the bit rate for a size, in bits per second. It grows with the area to the power 0.75: a larger picture of
    the same scene is smoother, so it needs fewer bits per pixel.
    """
    return int(min(MAX_BITS_PER_S, max(MIN_BITS_PER_S, BITS_PER_S_AT_512 * (width_px * height_px / 512**2) ** 0.75)))


class VideoEncoder:
    """VP8 of one size. `want_keyframe` may be called at any time. The next picture becomes a keyframe, unless the last
    keyframe was too recent.
    """

    def __init__(self, *, width_px: int, height_px: int, fps: int) -> None:
        self._width_px, self._height_px, self._fps = width_px, height_px, fps
        self._share = 1.0
        self._codec = self._open()
        # from this position on a keyframe is wanted; the first picture always is one
        self._wanted_after: int | None = None
        self._last_keyframe = -KEYFRAME_GAP_SAMPLES

    @property
    def share(self) -> float:
        """The share of the full bit rate that is used."""
        return self._share

    def set_share(self, share: float) -> None:
        """Encode with this share of the full bit rate from the next picture on, which is a keyframe if the share
        changes: libvpx takes another rate only when it is opened.
        """
        if share != self._share:
            self._share = share
            self._codec = self._open()

    def _open(self) -> av.VideoCodecContext:
        width_px, height_px = self._width_px, self._height_px
        rate = int(bit_rate(width_px, height_px) * self._share)
        codec = av.CodecContext.create("libvpx", "w")
        codec.width, codec.height, codec.pix_fmt = width_px, height_px, "yuv420p"
        codec.time_base, codec.framerate = TIME_BASE, Fraction(self._fps, 1)
        codec.bit_rate = rate
        codec.gop_size = 3000  # keyframes come on request
        codec.qmin, codec.qmax = 2, 50
        codec.thread_count = 1
        codec.options = {
            "deadline": "realtime",
            "cpu-used": "-12",  # a seventh less work than -8; costs 0.9 dB at the mouth, 44.8 dB remain (decision 0010)
            "lag-in-frames": "0",
            "noise-sensitivity": "0",
            # blocks that changed less than this are not encoded: a third less work, more bits for the lips (decision
            # 0003)
            "static-thresh": "400",
            "minrate": str(rate),  # minrate = maxrate = bit rate is libvpx's constant bit rate
            "maxrate": str(rate),
            "bufsize": str(rate),
            "undershoot-pct": "100",
            "overshoot-pct": "15",
        }
        codec.open()
        return codec

    def want_keyframe(self, *, joining: bool) -> None:
        gap = JOIN_GAP_SAMPLES if joining else KEYFRAME_GAP_SAMPLES
        due = self._last_keyframe + gap
        self._wanted_after = due if self._wanted_after is None else min(due, self._wanted_after)

    def encode(self, picture: NDArray[np.uint8], position: int) -> EncodedPacket | None:
        """Encode a picture that is shown at `position`: I420, uint8 (height * 3 // 2, width). Returns None if the rate
        control drops it.
        """
        frame = av.VideoFrame.from_numpy_buffer(np.ascontiguousarray(picture), format="yuv420p")
        frame.pts, frame.time_base = position, TIME_BASE
        if self._wanted_after is not None and position >= self._wanted_after:
            frame.pict_type = PictureType.I
        packets = self._codec.encode(frame)
        if not packets:
            return None
        assert len(packets) == 1
        keyframe = packets[0].is_keyframe
        if keyframe:
            self._last_keyframe = position
            self._wanted_after = None
        return EncodedPacket(kind="video", data=bytes(packets[0]), position=position, keyframe=keyframe)


class AudioEncoder:
    """Opus, mono, packets of 20 ms. A decoder's output lags behind the encoder's input by the encoder's look-ahead, 6.5
    ms. So a packet has the position of the sound that a decoder gives for it: 6.5 ms before that of its block.
    """

    def __init__(self) -> None:
        self._expected_loss_percent = 0
        self._codec = self._open()

    def expect_loss(self, percent: int) -> None:
        """Repeat each packet's sound in the next packet, as strongly as such a loss of packets needs it; 0 for not at
        all.
        """
        if percent != self._expected_loss_percent:
            self._expected_loss_percent = percent
            self._codec = self._open()

    def _open(self) -> av.AudioCodecContext:
        codec = av.CodecContext.create("libopus", "w")
        codec.sample_rate, codec.layout, codec.format = PLAYOUT_RATE_HZ, "mono", "s16"
        codec.bit_rate, codec.time_base = OPUS_BITS_PER_S, TIME_BASE
        codec.options = {
            # not voip: at this bit rate "audio" encodes speech with less than half the work
            "application": "audio",
            "frame_duration": "20",
            "compression_level": "5",
        }
        if self._expected_loss_percent:  # only the mode for speech can repeat a packet
            codec.options |= {"application": "voip", "fec": "1", "packet_loss": str(self._expected_loss_percent)}
        codec.open()
        assert codec.frame_size == BLOCK_SAMPLES
        return codec

    def encode(self, block: NDArray[np.int16], position: int) -> EncodedPacket:
        """Encode int16 (BLOCK_SAMPLES,) that begins at `position`."""
        frame = av.AudioFrame.from_ndarray(block.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = PLAYOUT_RATE_HZ, position, TIME_BASE
        (packet,) = self._codec.encode(frame)
        return EncodedPacket(
            kind="audio", data=bytes(packet), position=position - OPUS_DELAY_SAMPLES, level=level_of(block)
        )


def level_of(block: NDArray[np.int16]) -> int:
    """Return how loud a block of sound is: its power in -dBov, 0 to SILENT_LEVEL (RFC 6464, section 3)."""
    samples = block.astype(np.float32)
    power = float(np.dot(samples, samples)) / len(block)
    return SILENT_LEVEL if power == 0.0 else min(SILENT_LEVEL, max(0, round(-10 * math.log10(power / (1 << 30)))))


OPUS_DELAY_SAMPLES = 312  # of libopus at 48 kHz for audio and voip (its OPUS_GET_LOOKAHEAD)
