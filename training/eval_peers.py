"""Other methods for speech to motion, for comparison: the level of the sound, phones from PocketSphinx, and the true
phones.

Rhubarb and similar programs are PocketSphinx with other mouths, so its phone decoder represents them. It uses the whole
recording before it gives a result. Its phones move the same mouth as timings do, so only the recognition is compared.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from visavis.engine.motion.frame import INDEX, MOUTH_COUNT, SpeechMotion
from visavis.engine.speech.articulation import Segment, from_arpabet
from visavis.engine.speech.phones import TimedViseme
from visavis.engine.speech.stream import SpeechStream
from visavis.engine.speech.timed import TimedSpeech
from visavis.engine.speech.visemes import CLASS_INDEX, SILENCE

from .evaluate import Clip, Track


def _classes(segments: list[Segment], steps: int) -> np.ndarray:
    classes = np.full(steps, SILENCE)
    for segment in segments:
        classes[round(segment.start_s * 100) : round(segment.end_s * 100)] = segment.viseme
    return classes


def _moved_by(segments: list[Segment], pcm: np.ndarray) -> SpeechMotion:
    stream = TimedSpeech(SpeechStream())
    visemes = [TimedViseme(s.viseme, 1000 * s.start_s, 1000 * s.end_s) for s in segments if s.end_s > s.start_s]
    stream.expect(visemes, start_sample=0, samples=len(pcm))
    return SpeechMotion.concatenate([stream.push(pcm), stream.finish()])


def given_timings(clip: Clip) -> Track:
    """The motion for a client that sends the true phones as timings: nothing is recognised."""
    pcm, phones = clip
    began = time.process_time()
    segments = from_arpabet(phones)
    motion = _moved_by(segments, pcm)
    return Track(motion, _classes(segments, len(motion)), time.process_time() - began)


def loudness(clip: Clip) -> Track:
    """The motion of the simplest avatars: the jaw follows the level, wide open at the clip's 95th percentile and closed
    30 dB below.
    """
    pcm, _ = clip
    began = time.process_time()
    steps = -(-len(pcm) // 160)
    padded = np.zeros(steps * 160 + 240)
    padded[: len(pcm)] = pcm
    frames = np.lib.stride_tricks.sliding_window_view(padded, 400)[::160][:steps]
    level_db = 10 * np.log10(np.mean(frames**2, axis=1) + 1.0)
    open_to = np.clip((level_db - np.percentile(level_db, 95) + 30) / 30, 0, 1) ** 2
    smooth = np.convolve(np.pad(open_to, 3, mode="edge"), np.full(7, 1 / 7), "valid")
    mouth = np.zeros((steps, MOUTH_COUNT), np.float32)
    mouth[:, INDEX["jawOpen"]] = 0.6 * smooth
    zeros = np.zeros(steps, np.float32)
    motion = SpeechMotion(mouth=mouth, rest=zeros, loudness=zeros, pitch_hz=zeros, stress=zeros)
    return Track(motion, np.where(smooth < 0.02, SILENCE, CLASS_INDEX["AH"]), time.process_time() - began)


def pocketsphinx_phones() -> Callable[[Clip], Track] | None:
    """Return PocketSphinx' phone decoder with its phone language model, or None if it is not installed."""
    try:
        import pocketsphinx
    except ImportError:
        return None
    model = f"{pocketsphinx.get_model_path()}/en-us/en-us-phone.lm.bin"
    decoder = pocketsphinx.Decoder(
        allphone=model, lm=None, cmn="batch", loglevel="FATAL", beam=1e-20, pbeam=1e-20, lw=2.0
    )

    def track(clip: Clip) -> Track:
        pcm, _ = clip
        began = time.process_time()
        decoder.start_utt()
        decoder.process_raw(pcm.tobytes(), full_utt=True)
        decoder.end_utt()
        phones = [
            (part.start_frame / 100, (part.end_frame + 1) / 100, part.word)
            for part in decoder.seg()
            if not part.word.startswith("(")
        ]
        segments = from_arpabet([(a, b, p if p.isalpha() else "SIL") for a, b, p in phones])
        motion = _moved_by(segments, pcm)
        return Track(motion, _classes(segments, len(motion)), time.process_time() - began)

    return track
