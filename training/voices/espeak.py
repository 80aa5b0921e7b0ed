"""The formant voices of espeak-ng, in all languages and variants, through its C API (speak_lib.h). Its phoneme events
give the times.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray

from visavis.engine.audio.files import to_pcm16
from visavis.engine.audio.mel import RATE_HZ
from visavis.engine.speech.articulation import Segment
from visavis.engine.speech.visemes import CLASS_INDEX, SILENCE, visemes_of_ipa

from . import Spoken

_RETRIEVAL, _PHONEME_EVENTS_IN_IPA, _PHONEME, _END = 1, 3, 7, 0
_RATE, _PITCH, _RANGE = 1, 3, 4  # espeakPARAMETER
_STOPS = frozenset("pbtdkgɡcɟʈɖq")
_LONGEST_CLOSURE_S = 0.09


class _Id(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8)]


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int), ("unique_identifier", ctypes.c_uint), ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int), ("sample", ctypes.c_int), ("user_data", ctypes.c_void_p), ("id", _Id),
    ]  # fmt: skip


class Espeak:
    """The library. It must be opened only once per process, because it has global state."""

    def __init__(self) -> None:
        self._lib = ctypes.CDLL("libespeak-ng.so.1")
        self._rate_hz = self._lib.espeak_Initialize(_RETRIEVAL, 0, None, _PHONEME_EVENTS_IN_IPA)
        self._pcm: list[NDArray[np.int16]] = []
        self._events: list[tuple[int, str]] = []
        kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))
        self._callback = kind(self._take)
        self._lib.espeak_SetSynthCallback(self._callback)

    def _take(self, wave: Any, count: int, events: Any) -> int:
        if wave and count:
            self._pcm.append(np.ctypeslib.as_array(wave, (count,)).copy())
        i = 0
        while events[i].type != _END:
            if events[i].type == _PHONEME:
                self._events.append((events[i].sample, events[i].id.string.decode("utf-8", "ignore")))
            i += 1
        return 0

    def speak(
        self, voice: str, text: str, *, words_per_minute: int = 165, pitch: int = 50, pitch_range: int = 50
    ) -> Spoken | None:
        """Return `text` spoken by a voice such as "en-us+Annie", or None if espeak-ng has no such voice."""
        self._pcm, self._events = [], []
        if self._lib.espeak_SetVoiceByName(voice.encode()) != 0:
            return None
        for parameter, value in ((_RATE, words_per_minute), (_PITCH, pitch), (_RANGE, pitch_range)):
            self._lib.espeak_SetParameter(parameter, value, 0)
        raw = text.encode()
        self._lib.espeak_Synth(raw, len(raw) + 1, 0, 1, 0, 1, None, None)
        self._lib.espeak_Synchronize()
        if not self._pcm:
            return None
        pcm = np.concatenate(self._pcm).astype(np.float32) / 32768.0
        segments = self._segments(pcm)
        return Spoken(pcm=to_pcm16(soxr.resample(pcm, self._rate_hz, RATE_HZ)), segments=segments)

    def _segments(self, pcm: NDArray[np.float32]) -> list[Segment]:
        """Return the segments of the events. For a stop, the event marks its burst; the quiet before it is its closure,
        which espeak-ng assigns to the phone before.
        """
        rate, total = self._rate_hz, len(pcm)
        hop = rate // 200  # 5 ms
        level = np.sqrt(np.convolve(pcm**2, np.ones(hop) / hop, "same")[::hop] + 1e-12)
        quiet = level < 0.05 * np.percentile(level, 95)
        events = [(sample, symbol) for sample, symbol in self._events if not symbol.startswith("(")]
        starts = [min(sample, total) for sample, _ in events]
        for i, (_, symbol) in enumerate(events):
            bare = symbol.lstrip("ˈˌ")
            if not bare or bare[0] not in _STOPS or i == 0:
                continue
            first, earliest = (
                starts[i] // hop,
                max(starts[i - 1] // hop + 2, (starts[i] - int(_LONGEST_CLOSURE_S * rate)) // hop),
            )
            while first > earliest and quiet[min(first - 1, len(quiet) - 1)]:
                first -= 1
            starts[i] = min(starts[i], first * hop)
        segments: list[Segment] = []
        for i, (_, symbol) in enumerate(events):
            start, end = starts[i], starts[i + 1] if i + 1 < len(events) else total
            classes = visemes_of_ipa(symbol)
            if not classes:
                if symbol in ("", "_:", "_") and end > start:
                    segments.append(Segment(start_s=start / rate, end_s=end / rate, viseme=SILENCE))
                continue
            edges = np.linspace(start, end, len(classes) + 1)
            segments += [
                Segment(start_s=float(a) / rate, end_s=float(b) / rate, viseme=CLASS_INDEX[name])
                for a, b, name in zip(edges[:-1], edges[1:], classes, strict=True)
                if b > a
            ]
        return segments
