"""Reads what a speech endpoint answers, piece by piece: WAV, or samples without a header. Pure.

Endpoints differ from what they declare, so the sound itself decides. A WAV file may say a length that nobody knew when
it was written, each piece may be a file of its own, and an answer may be a file of another kind, or end in the middle.
Whatever is passed on has its true rate and whole samples, and begins and ends softly.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

from visavis.errors import VoiceFailed
from visavis.voice.port import Sound
from visavis.voice.samples import SampleFormat, faded_in, faded_out, to_pcm16_mono

MIN_RATE_HZ, MAX_RATE_HZ = 8_000, 48_000
FADE_IN_S, FADE_OUT_S = 0.002, 0.010
MAX_HEADER_BYTES = 64 * 1024
SNIFFED_BYTES = 2048  # holds a whole frame of MP3 and the header of the next
UNKNOWN_BYTES = 0x7FFF_0000  # a declared length from here on means that it was not known

_HEADER = re.compile(rb"RIFF....WAVE", re.DOTALL)
_HEADER_BYTES = 12
_CHUNK_NAME = re.compile(rb"[A-Za-z0-9 ]{4}")
_EXTENSIBLE = 0xFFFE
_OTHER_FILES = {
    b"ID3": "MP3",
    b"OggS": "Ogg",
    b"fLaC": "FLAC",
    b"\x1aE\xdf\xa3": "WebM",
    b"FORM": "AIFF",
    b"caff": "CAF",
}
_MP3_KBITS = (
    (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),  # MPEG-2 and 2.5, layer III
    (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),  # MPEG-1
)
_MP3_RATES_HZ = {0: (11_025, 12_000, 8_000), 2: (22_050, 24_000, 16_000), 3: (44_100, 48_000, 32_000)}


class SoundReader:
    """One answer. `content_type`: its header, which may name the rate of raw samples. `rate_hz`: that of raw samples
    where the answer names none; None: they are refused.
    """

    def __init__(self, *, content_type: str = "", rate_hz: int | None = None) -> None:
        kind, _, parameters = content_type.lower().partition(";")
        if kind.startswith("text/") or kind.strip().endswith(("json", "xml")):
            raise VoiceFailed(f"the synthesiser answered {kind.strip()} instead of sound")
        declared = re.search(r"rate=\"?(\d+)", parameters)
        self._raw_rate_hz = rate_hz if declared is None else int(declared[1])
        self._buffer = bytearray()
        self._is_wav: bool | None = None  # None until that is known
        self._in_header = False
        self._format = SampleFormat()
        self._rate_hz = 0
        self._left: int | None = None  # bytes of samples that are declared and have not come; None: unknown
        self._lengths_hold = True  # False once a length was wrong
        self._edges = _SoftEdges()
        self.samples = 0  # that have come

    def feed(self, data: bytes) -> list[Sound]:
        """Take the next bytes; return the sound that is certain. Raises `VoiceFailed`."""
        self._buffer += data
        return self._edges.pass_on(self._read(at_end=False))

    def finish(self) -> list[Sound]:
        """The answer has ended: return the rest, with a soft end."""
        return self._edges.pass_on(self._read(at_end=True)) + self._edges.end()

    def check_whole(self) -> None:
        """Called after `finish`. Raises `VoiceFailed` if the answer was no sound, or half of it."""
        is_short = self._lengths_hold and (self._left or 0) >= self._format.frame_bytes
        if self._in_header or is_short:
            raise VoiceFailed("the synthesiser's answer ended too early")
        if not self.samples:
            raise VoiceFailed("the synthesiser's answer has no sound")

    def break_off(self) -> list[Sound]:
        """The answer has failed: return a soft end for what was passed on."""
        return self._edges.end()

    def _read(self, *, at_end: bool) -> list[Sound]:
        if self._is_wav is None and not self._sniff(at_end=at_end):
            return []
        if not self._is_wav:
            return self._samples(len(self._buffer))
        found: list[Sound] = []
        for sound in self._read_wav(at_end=at_end):
            found += sound
        return found

    def _sniff(self, *, at_end: bool) -> bool:
        """Find out what kind of sound it is; return whether that is known now."""
        begin = bytes(self._buffer[:SNIFFED_BYTES])
        if len(begin) < _HEADER_BYTES and not at_end:
            return False
        if _HEADER.match(begin):
            self._is_wav = self._in_header = True
            return True
        other = next((name for magic, name in _OTHER_FILES.items() if begin.startswith(magic)), None)
        if begin[4:8] == b"ftyp":
            other = "MP4"
        if other is None and len(begin) < SNIFFED_BYTES and not at_end:
            return False
        if other is None and _is_mp3(begin):
            other = "MP3"
        if other is not None:
            raise VoiceFailed(f"the synthesiser answered {other}; it must answer WAV or PCM")
        if not begin:
            return False
        if self._raw_rate_hz is None:
            raise VoiceFailed("the synthesiser's samples have no declared rate")
        self._use_rate(self._raw_rate_hz)
        self._is_wav = False
        return True

    def _read_wav(self, *, at_end: bool) -> Iterator[list[Sound]]:
        while True:
            if self._in_header and not self._take_header():
                return
            next_header = _HEADER.search(self._buffer)
            if next_header is None:
                # the last bytes may be the beginning of a header
                ready = len(self._buffer) - (0 if at_end else _HEADER_BYTES - 1)
                if self._left is None or ready <= self._left:
                    yield self._samples(max(0, ready))
                    return
            end = len(self._buffer) if next_header is None else next_header.start()
            if self._left is not None and self._left < end:
                yield self._samples(self._left)
                if not self._take_other_chunk(at_end=at_end):
                    return
                continue
            yield self._samples(end)
            if (self._left or 0) >= self._format.frame_bytes:  # a file ends early, and the next one begins
                self._lengths_hold = False
            header = _HEADER.search(self._buffer)
            assert header is not None
            del self._buffer[: header.start()]  # what is left of a cut frame
            self._in_header = True

    def _take_header(self) -> bool:
        """Take a header up to its samples; return False if it has not come whole."""
        at, form = _HEADER_BYTES, None
        while len(self._buffer) >= at + 8:
            name, size = struct.unpack_from("<4sI", self._buffer, at)
            if name == b"data":
                if form is None:
                    raise VoiceFailed("the synthesiser's WAV has no format")
                self._format, rate_hz = form
                self._use_rate(rate_hz)
                self._left = None if size == 0 or size >= UNKNOWN_BYTES else size
                del self._buffer[: at + 8]
                self._in_header = False
                return True
            if at + 8 + size > MAX_HEADER_BYTES:
                raise VoiceFailed("the synthesiser's WAV cannot be read")
            if len(self._buffer) < at + 8 + size:
                return False
            if name == b"fmt ":
                form = _read_format(bytes(self._buffer[at + 8 : at + 8 + size]))
            at += 8 + size + size % 2
        return False

    def _take_other_chunk(self, *, at_end: bool) -> bool:
        """After the declared samples: drop a chunk of another kind. Return False if there is nothing to read now. If no
        chunk follows, the declared length was wrong, and more samples follow.
        """
        self._drop_cut_frame()
        if len(self._buffer) < 8:
            if at_end:
                self._buffer.clear()
            return False
        name, size = struct.unpack_from("<4sI", self._buffer)
        if _HEADER.match(self._buffer):
            return True
        if _CHUNK_NAME.fullmatch(name) and size <= MAX_HEADER_BYTES:
            if len(self._buffer) < 8 + size and not at_end:
                return False
            del self._buffer[: 8 + size + size % 2]
        else:
            self._left = None
        return True

    def _drop_cut_frame(self) -> None:
        """A file has ended within a frame: its last bytes are no sample."""
        if self._left is not None and 0 < self._left < self._format.frame_bytes:
            del self._buffer[: self._left]
            self._left = 0

    def _samples(self, size_bytes: int) -> list[Sound]:
        """Take the whole frames of so many bytes."""
        size_bytes -= size_bytes % self._format.frame_bytes
        if size_bytes <= 0:
            return []
        pcm = to_pcm16_mono(bytes(self._buffer[:size_bytes]), self._format)
        del self._buffer[:size_bytes]
        if self._left is not None:
            self._left -= size_bytes
        self.samples += len(pcm) // 2
        return [Sound(pcm=pcm, rate_hz=self._rate_hz)]

    def _use_rate(self, rate_hz: int) -> None:
        if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
            raise VoiceFailed(f"the synthesiser's rate is {rate_hz} Hz; it must be {MIN_RATE_HZ} to {MAX_RATE_HZ}")
        self._rate_hz = rate_hz


class _SoftEdges:
    """Lets the sound of one sentence begin and end softly. It keeps the last milliseconds back, for the end may come
    any time.
    """

    def __init__(self) -> None:
        self._kept = b""
        self._rate_hz = 0
        self._passed_on = 0  # samples, at this rate

    def pass_on(self, sounds: list[Sound]) -> list[Sound]:
        ready: list[Sound] = []
        for sound in sounds:
            if sound.rate_hz != self._rate_hz:
                ready += self.end()
                self._rate_hz, self._passed_on = sound.rate_hz, 0
            pcm = self._kept + sound.pcm
            kept_bytes = 2 * int(FADE_OUT_S * self._rate_hz)
            if len(pcm) <= kept_bytes:
                self._kept = pcm
                continue
            self._kept = pcm[-kept_bytes:]
            ready.append(Sound(pcm=self._beginning(pcm[:-kept_bytes]), rate_hz=self._rate_hz))
        return ready

    def end(self) -> list[Sound]:
        kept, self._kept = self._kept, b""
        return [Sound(pcm=faded_out(kept), rate_hz=self._rate_hz)] if kept else []

    def _beginning(self, pcm: bytes) -> bytes:
        begin, over = self._passed_on, int(FADE_IN_S * self._rate_hz)
        self._passed_on += len(pcm) // 2
        return pcm if begin >= over else faded_in(pcm, begin=begin, over=over)


def _read_format(chunk: bytes) -> tuple[SampleFormat, int]:
    """Read the format chunk of a WAV file; return also the rate in Hz. Raises `VoiceFailed`."""
    if len(chunk) < 16:
        raise VoiceFailed("the synthesiser's WAV cannot be read")
    kind, channels, rate_hz, _, _, bits = struct.unpack_from("<HHIIHH", chunk)
    if kind == _EXTENSIBLE and len(chunk) >= 26:
        kind = struct.unpack_from("<H", chunk, 24)[0]
    form = SampleFormat(kind=kind, bits=bits, channels=channels)
    if not form.is_known:
        raise VoiceFailed(
            f"the synthesiser's WAV has a format that is not read: {kind}, {bits} bits, {channels} channels"
        )
    return form, rate_hz


def _is_mp3(data: bytes) -> bool:
    """Whether the data begin with a frame of MP3, and another follows where that one ends."""
    size = _mp3_frame_bytes(data)
    return size > 0 and len(data) >= size + 4 and _mp3_frame_bytes(data[size:]) > 0


def _mp3_frame_bytes(data: bytes) -> int:
    """Return the length of the frame of MP3 (ISO 11172-3, layer III) at the beginning, 0 if there is none."""
    if len(data) < 4 or data[0] != 0xFF or data[1] & 0xE6 != 0xE2:
        return 0
    version, bit_rate, rate = data[1] >> 3 & 3, data[2] >> 4, data[2] >> 2 & 3
    if version == 1 or bit_rate in (0, 15) or rate == 3:
        return 0
    kbits = _MP3_KBITS[version == 3][bit_rate]
    return (144_000 if version == 3 else 72_000) * kbits // _MP3_RATES_HZ[version][rate] + (data[2] >> 1 & 1)
