"""Writes films: MP4 files with pictures and sound."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import av
import numpy as np
from numpy.typing import NDArray

from visavis.errors import FileUnusable

SOUND_RATE_HZ = 48_000
CHANNEL_BITS_PER_S = 128_000
QUALITY = "17"  # x264's constant rate factor: no loss that an eye sees

# What AAC in MP4 can hold (ISO/IEC 14496-3): rates, and layouts by their number of channels, the usual one first.
AAC_RATES_HZ = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 64_000, 88_200, 96_000)
AAC_LAYOUTS: dict[int, tuple[str, ...]] = {
    1: ("mono",),
    2: ("stereo",),
    3: ("3.0", "2.1", "3.0(back)"),
    4: ("4.0", "quad"),
    5: ("5.0",),
    6: ("5.1",),
    7: ("6.1",),
    8: ("7.1", "7.1(wide)"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundForm:
    """The form of a film's sound. `layout`: one of AAC_LAYOUTS."""

    rate_hz: int = SOUND_RATE_HZ
    layout: str = "mono"

    @classmethod
    def of(cls, *, rate_hz: int, layout: str, channels: int) -> SoundForm:
        """Return the form that keeps a recording's rate and channels, at most eight. A rate that AAC does not have
        becomes the next higher one, or the highest. A layout that it does not have becomes the usual one of as many
        channels.
        """
        usual = AAC_LAYOUTS[channels]
        rate_hz = next((rate for rate in AAC_RATES_HZ if rate >= rate_hz), AAC_RATES_HZ[-1])
        return cls(rate_hz=rate_hz, layout=layout if layout in usual else usual[0])


MONO_48K = SoundForm()


class FilmWriter:
    """An MP4 (H.264, AAC) that is being written. Pictures and sound both begin at time 0.

    The film is written beside `path`; `close` renames it to `path`, `discard` removes it. A `with` block closes it at
    the end, and discards it after an error: then no part of it is left, and an older film at `path` is unchanged.

    Every method raises `FileUnusable` if the film cannot be written, for instance because the disk is full.
    """

    def __init__(
        self,
        path: Path,
        *,
        width_px: int,
        height_px: int,
        ticks_hz: int,
        sound: SoundForm = MONO_48K,
        preset: Literal["superfast", "veryfast"] = "veryfast",
    ) -> None:
        """`ticks_hz`: ticks per second, the unit of the times of pictures. `preset`: of x264; a faster one makes a
        larger file.
        """
        self.width_px, self.height_px, self.pictures = width_px, height_px, 0
        self._path, self._partial = path, path.with_name(f".{path.name}.part")
        with self._translated_errors():
            self._box = av.open(str(self._partial), "w", format="mp4", options={"movflags": "+faststart"})
        options = {"preset": preset, "crf": QUALITY, "bf": "0", "threads": "1"}
        # The rate is only a hint for the encoder; every picture has its own time.
        self._video = self._box.add_stream("libx264", rate=min(ticks_hz, 25), options=options)
        self._video.width, self._video.height, self._video.pix_fmt = width_px, height_px, "yuv420p"
        self._tick = self._video.codec_context.time_base = Fraction(1, ticks_hz)
        self._sound_form = sound
        self._audio = self._box.add_stream("aac", rate=sound.rate_hz, layout=sound.layout)
        # AAC holds at most 6 bits for a sample (6144 for each frame of 1024), with 5 the encoder has enough.
        self._audio.bit_rate = self._audio.layout.nb_channels * min(CHANNEL_BITS_PER_S, 5 * sound.rate_hz)
        self._sound: list[av.Packet[av.AudioStream]] = []  # encoded, and later than the last picture
        self._at = -1  # of the last picture, in ticks
        self._open = True

    def write_sound(self, pcm: NDArray[np.int16], rate_hz: int) -> None:
        """Write the whole sound, int16 (n,) or (n, channels). Call it once, before the first picture or after the last
        one.
        """
        if len(pcm):
            form = self._sound_form
            packed = np.ascontiguousarray(pcm).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(packed, format="s16", layout=form.layout)
            frame.sample_rate, frame.pts, frame.time_base = rate_hz, 0, Fraction(1, rate_hz)
            resampler = av.AudioResampler(format="fltp", layout=form.layout, rate=form.rate_hz)
            for part in [*resampler.resample(frame), *resampler.resample(None)]:
                self._sound += self._audio.encode(part)
        self._sound += self._audio.encode(None)

    def write_picture(self, i420: NDArray[np.uint8], *, at: int) -> None:
        """Write the next picture, uint8 (height * 3 // 2, width). `at`: its time, in ticks. If that is not later than
        the picture before, the picture comes one tick after it. A picture of another size is scaled.
        """
        frame = av.VideoFrame.from_ndarray(i420, format="yuv420p")
        self._at = max(at, self._at + 1)
        frame.pts, frame.time_base = self._at, self._tick
        with self._translated_errors():
            self._box.mux(self._video.encode(frame))
            self.pictures += 1
            while self._sound and (self._sound[0].pts or 0) * self._sound[0].time_base <= self._at * self._tick:
                self._box.mux(self._sound.pop(0))

    def close(self) -> None:
        """Write the rest, and rename the film to `path`. A second call does nothing."""
        if not self._open:
            return
        try:
            with self._translated_errors():
                self._box.mux(self._video.encode(None))
                self._box.mux(self._sound)
                self._box.close()
                self._partial.replace(self._path)
        except BaseException:
            self.discard()
            raise
        self._open = False

    def discard(self) -> None:
        """Remove the unfinished film. A closed film is not changed."""
        if self._open:
            self._open = False
            with suppress(OSError):  # the disk is full: what is not written yet is not wanted
                self._box.close()
            with suppress(OSError):  # the disk is read-only: nothing was written
                self._partial.unlink()

    @contextmanager
    def _translated_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise FileUnusable(f"{self._path} cannot be written: {error.strerror or error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            self.discard()
