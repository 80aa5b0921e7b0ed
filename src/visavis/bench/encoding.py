"""What one session's pictures and sound take to encode, and nothing else: the measure of what a session costs.

The default content of the benchmarks is performed and drawn a second at a time; then these pictures and blocks are
encoded, and only that is measured. "A session costs N times its encoding" says how much stands around the encoders.
This number hardly depends on the machine, and because all times are processor time, it hardly depends on what else the
machine does.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visavis.engine.audio.files import read_speech
from visavis.engine.pack.avatar_pack import AvatarPack
from visavis.engine.render.cpu import CpuRenderer
from visavis.engine.speech.stream import SpeechStream
from visavis.library import SAMPLE
from visavis.stage.encoder import AudioEncoder, VideoEncoder
from visavis.stage.performance import Performance
from visavis.stage.port.values import Speech
from visavis.stage.timeline import BLOCK_SAMPLES, PLAYOUT_RATE_HZ, frame_position

SILENT_S = 6.0  # how much silence is encoded


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodingCost:
    """The share of one core that encoding takes (VP8 and Opus), while the avatar speaks and while it is silent."""

    speaking_cores: float
    silent_cores: float

    def cores(self, spoken: float) -> float:
        """Return the cores of a session that speaks for this share of the time (0 to 1)."""
        return spoken * self.speaking_cores + (1 - spoken) * self.silent_cores

    def ratio(self, session_cores: float, *, spoken: float) -> float:
        """Return how many times its encoding a session costs."""
        return round(session_cores / self.cores(spoken), 2)


def mean(first: EncodingCost, second: EncodingCost) -> EncodingCost:
    """Return the mean of two measurements, of before and after the one that they are compared with."""
    return EncodingCost(
        speaking_cores=(first.speaking_cores + second.speaking_cores) / 2,
        silent_cores=(first.silent_cores + second.silent_cores) / 2,
    )


def measure_encoding(pack: AvatarPack, *, size: tuple[int, int], fps: int, silent_s: float = SILENT_S) -> EncodingCost:
    """Measure with the library's sample. `size`: width and height in px."""
    pcm, rate_hz = read_speech(SAMPLE)
    return EncodingCost(
        speaking_cores=_cores(pack, pcm, rate_hz, size=size, fps=fps, seconds=len(pcm) / rate_hz),
        silent_cores=_cores(pack, pcm[:0], rate_hz, size=size, fps=fps, seconds=silent_s),
    )


def _cores(
    pack: AvatarPack, pcm: NDArray[np.int16], rate_hz: int, *, size: tuple[int, int], fps: int, seconds: float
) -> float:
    renderer = CpuRenderer(pack, *size)
    video, audio = VideoEncoder(width_px=size[0], height_px=size[1], fps=fps), AudioEncoder()
    performance = Performance(seed=7, open_speech=SpeechStream)
    if len(pcm):
        performance.speak(Speech(pcm=pcm.tobytes(), sample_rate_hz=rate_hz, number=1, final=True))
    end, frames, spent_s = round(seconds * PLAYOUT_RATE_HZ), 0, 0.0
    while performance.position < end:
        second = performance.position + PLAYOUT_RATE_HZ
        blocks: list[tuple[NDArray[np.int16], int]] = []
        pictures: list[tuple[NDArray[np.uint8], int]] = []
        while performance.position < min(second, end):
            blocks.append((performance.next_block(), performance.position - BLOCK_SAMPLES))
            while (instant := frame_position(frames, fps)) < performance.position:
                picture = renderer.render(performance.face(instant).motion)
                pictures.append((picture.copy(), instant))  # the renderer may use its memory again
                frames += 1
        began_s = time.process_time()
        for block, position in blocks:
            audio.encode(block, position)
        for picture, position in pictures:
            video.encode(picture, position)
        spent_s += time.process_time() - began_s
    return spent_s * PLAYOUT_RATE_HZ / performance.position
