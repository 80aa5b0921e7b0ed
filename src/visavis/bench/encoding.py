"""What one session's pictures and sound take to encode, and nothing else: the measure of what a session costs.

The default content of the benchmarks is performed and drawn a second at a time; then these pictures and blocks are
encoded for a few sessions, and only that is measured. It happens in real time, as it must in a stage: in a loop without
a pause the caches and the clock of the core stay warm, and the same work takes half to two thirds of the time. "A
session costs N times its encoding" says how much stands around the encoders. All times are the processor time of
the measuring thread, so that what else the machine and this process do changes them little.
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

SESSIONS = 3  # encoded side by side, like the sessions of a stage
SPEECH_S, SILENT_S = 4.0, 2.0  # how much of the sample, and how much silence, is encoded


_Part = tuple[tuple[NDArray[np.int16], int], list[tuple[NDArray[np.uint8], int]]]
"""A block of sound and the pictures that begin within it, each with its position."""


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
    """Return the mean of two measurements, of before and after what is compared with them."""
    return EncodingCost(
        speaking_cores=(first.speaking_cores + second.speaking_cores) / 2,
        silent_cores=(first.silent_cores + second.silent_cores) / 2,
    )


def measure_encoding(
    pack: AvatarPack, *, size: tuple[int, int], fps: int, speech_s: float = SPEECH_S, silent_s: float = SILENT_S
) -> EncodingCost:
    """Measure with the library's sample, in real time. `size`: width and height in px."""
    pcm, rate_hz = read_speech(SAMPLE)
    return EncodingCost(
        speaking_cores=_cores(pack, pcm, rate_hz, size=size, fps=fps, seconds=speech_s),
        silent_cores=_cores(pack, pcm[:0], rate_hz, size=size, fps=fps, seconds=silent_s),
    )


def _cores(
    pack: AvatarPack, pcm: NDArray[np.int16], rate_hz: int, *, size: tuple[int, int], fps: int, seconds: float
) -> float:
    renderer = CpuRenderer(pack, *size)
    sessions = [(VideoEncoder(width_px=size[0], height_px=size[1], fps=fps), AudioEncoder()) for _ in range(SESSIONS)]
    performance = Performance(seed=7, open_speech=SpeechStream)
    if len(pcm):
        performance.speak(Speech(pcm=pcm.tobytes(), sample_rate_hz=rate_hz, number=1, final=True))
    end, frames, spent_s = round(seconds * PLAYOUT_RATE_HZ), 0, 0.0
    while performance.position < end:
        second = performance.position + PLAYOUT_RATE_HZ
        parts: list[_Part] = []
        while performance.position < min(second, end):
            block = (performance.next_block(), performance.position - BLOCK_SAMPLES)
            pictures: list[tuple[NDArray[np.uint8], int]] = []
            while (instant := frame_position(frames, fps)) < performance.position:
                picture = renderer.render(performance.face(instant).motion)
                pictures.append((picture.copy(), instant))  # the renderer may use its memory again
                frames += 1
            parts.append((block, pictures))
        spent_s += _encode_in_real_time(parts, sessions)
    return spent_s / SESSIONS * PLAYOUT_RATE_HZ / performance.position


def _encode_in_real_time(parts: list[_Part], sessions: list[tuple[VideoEncoder, AudioEncoder]]) -> float:
    """Encode each part when its time comes; return the processor time, in seconds."""
    began_s, spent_s = time.monotonic(), 0.0
    for number, ((block, position), pictures) in enumerate(parts):
        time.sleep(max(0.0, began_s + number * BLOCK_SAMPLES / PLAYOUT_RATE_HZ - time.monotonic()))
        before_s = time.thread_time()  # the encoders have no threads of their own
        for video, audio in sessions:
            audio.encode(block, position)
            for picture, instant in pictures:
                video.encode(picture, instant)
        spent_s += time.thread_time() - before_s
    return spent_s
