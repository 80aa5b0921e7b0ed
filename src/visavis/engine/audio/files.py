"""Reads recordings: any sound file that FFmpeg decodes, and raw PCM16, from a file or a pipe.

What a file is, its content says: its name may be wrong, and a pipe has none. A recording that was written to a pipe
does not know its length (a WAV file says 0); it reaches to its end.
"""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import av
import numpy as np
import soxr
from av.error import FFmpegError
from numpy.typing import NDArray

from visavis.engine.audio.headers import sound_file_of
from visavis.engine.audio.mel import RATE_HZ
from visavis.engine.errors import AudioUnreadable

RAW_SUFFIXES = (".raw", ".pcm", ".s16", ".s16le", ".sw", ".lpcm")
HEADER_BYTES = 4096
# Of a recording: higher rates than any recorder's, and lower ones than any speech has. A header may state any other.
MIN_RATE_HZ, MAX_RATE_HZ = 1_000, 768_000
USABLE = "Use WAV, FLAC, OGG, MP3, M4A or WebM"
STATE_THE_RATE = "State its sample rate with --pcm-rate, for example --pcm-rate 16000"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """Sound as it was recorded. `samples`: int16 (n, channels). `layout`: FFmpeg's name for the channels."""

    samples: NDArray[np.int16]
    rate_hz: int
    layout: str

    @property
    def channels(self) -> int:
        return int(self.samples.shape[1])


def to_pcm16(samples: NDArray[np.floating[Any]]) -> NDArray[np.int16]:
    """Return samples with full scale 1.0 as int16, rounded. Samples beyond full scale are clipped; NaN becomes
    silence.
    """
    finite = np.clip(np.nan_to_num(samples, nan=0.0, posinf=1.0, neginf=-1.0), -1.0, 1.0)
    whole = np.rint(finite * 32768.0)
    pcm: NDArray[np.int16] = np.clip(whole, -32768, 32767).astype(np.int16)
    return pcm


def read_speech(path: str | Path) -> tuple[NDArray[np.int16], int]:
    """Return (the speech of a recording as mono int16 (n,) at 16 kHz, the sample rate of the file in Hz).

    Raises FileNotFoundError, and AudioUnreadable for a file that is not sound.
    """
    recording = read_recording(path)
    return speech_of(recording), recording.rate_hz


def speech_of(recording: Recording) -> NDArray[np.int16]:
    """Return the speech of a recording as mono int16 (n,) at 16 kHz."""
    mono = _mixed(recording.samples)
    if recording.rate_hz != RATE_HZ and len(mono):
        mono = soxr.resample(mono, recording.rate_hz, RATE_HZ)
    return to_pcm16(mono)


def mono_of(recording: Recording) -> Recording:
    """Return the recording with one channel."""
    samples = to_pcm16(_mixed(recording.samples)).reshape(-1, 1)
    return Recording(samples=samples, rate_hz=recording.rate_hz, layout="mono")


def _mixed(samples: NDArray[np.int16]) -> NDArray[np.float32]:
    """Return the mean of the channels, float32 (n,) with full scale 1.0. A channel in opposite phase to the loudest one
    is inverted first, so that the two do not cancel each other out.
    """
    channels = samples.astype(np.float32) / np.float32(32768)
    if channels.shape[1] > 1 and len(channels):
        loudest = channels[:, np.argmax(np.einsum("nc,nc->c", channels, channels))]
        channels *= np.where(loudest @ channels < 0, np.float32(-1), np.float32(1))
    return np.ascontiguousarray(channels.mean(axis=1))


def read_recording(path: str | Path, *, pcm_rate_hz: int | None = None) -> Recording:
    """Read a recording. `pcm_rate_hz`: it is raw PCM16, little-endian, mono, at this rate; None: it has a header.

    Raises FileNotFoundError, and AudioUnreadable, whose message is one line.
    """
    path = Path(path)
    name = path.name if path.is_file() else str(path)
    with _open(path) as file:
        header = file.read(HEADER_BYTES)
        file.seek(0)
        if pcm_rate_hz is not None:
            _check_rate(name, pcm_rate_hz)
            return _read_raw(name, header, file.read(), pcm_rate_hz)
        if not header:
            raise AudioUnreadable(f"{name} is empty", suggestion=USABLE)
        try:
            with av.open(file, "r", options={"protocol_whitelist": "file"}) as container:  # no playlist opens addresses
                return _decode(name, container)
        except FFmpegError as error:
            if path.suffix.lower() in RAW_SUFFIXES:
                raise AudioUnreadable(f"{name} has no header that tells its rate", suggestion=STATE_THE_RATE) from error
            raise AudioUnreadable(f"{name} is not a sound file that can be read", suggestion=USABLE) from error


def _check_rate(name: str, rate_hz: int) -> None:
    """Raises `AudioUnreadable` for a rate that no speech has: a file of some megabytes may last for years."""
    if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
        raise AudioUnreadable(
            f"{name} has a sample rate of {rate_hz} Hz", suggestion=f"Use {MIN_RATE_HZ} to {MAX_RATE_HZ} Hz"
        )


def _open(path: Path) -> IO[bytes]:
    """Open a file; of a pipe, which cannot be read twice, return the content. FFmpeg gets no name to be misled by."""
    try:
        file = os.fdopen(os.open(path, os.O_RDONLY), "rb")
        if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            return file
        with file:
            return io.BytesIO(file.read())
    except FileNotFoundError:
        raise
    except OSError as error:
        raise AudioUnreadable(f"{path} cannot be read: {error.strerror}") from error


def _read_raw(name: str, header: bytes, data: bytes, rate_hz: int) -> Recording:
    kind = sound_file_of(header)
    if kind is not None:
        raise AudioUnreadable(f"{name} is a {kind} file and tells its own rate", suggestion="Leave --pcm-rate out")
    if len(data) % 2:
        raise AudioUnreadable(f"{name} has an odd number of bytes; PCM16 has two per sample", suggestion=USABLE)
    return Recording(samples=np.frombuffer(data, "<i2").reshape(-1, 1), rate_hz=rate_hz, layout="mono")


def _decode(name: str, container: av.container.InputContainer) -> Recording:
    """Return the sound of the best stream. Parts that cannot be decoded are left out, unless they are the most."""
    stream = container.streams.best("audio")
    if not isinstance(stream, av.AudioStream):
        held = "pictures and no sound" if container.streams.video else "no sound"
        raise AudioUnreadable(f"{name} holds {held}", suggestion=USABLE)
    if stream.codec_context is None:
        raise AudioUnreadable(f"{name} holds sound of a kind that cannot be decoded", suggestion=USABLE)
    _check_rate(name, stream.codec_context.sample_rate)
    blocks: list[NDArray[np.int16]] = []
    form: tuple[int, str, str] | None = None
    packer: av.AudioResampler | None = None  # set with `form`
    damaged = 0
    for frame in _frames(container, stream):
        if frame is None:
            damaged += 1
            continue
        own_form = (frame.sample_rate, frame.layout.name, frame.format.name)
        if form is None:
            _check_rate(name, frame.sample_rate)
            form, packer = own_form, av.AudioResampler(format=frame.format.packed.name)
        if own_form != form or packer is None:
            raise AudioUnreadable(f"{name} changes its sample rate or its channels half-way", suggestion=USABLE)
        blocks += [_pcm16_of(packed) for packed in packer.resample(frame)]
    if damaged > len(blocks):
        raise AudioUnreadable(f"{name} is damaged: most of its sound cannot be decoded")
    if form is None:
        codec = stream.codec_context
        nothing = np.zeros((0, codec.layout.nb_channels), np.int16)
        return Recording(samples=nothing, rate_hz=codec.sample_rate, layout=codec.layout.name)
    return Recording(samples=np.concatenate(blocks), rate_hz=form[0], layout=form[1])


def _frames(container: av.container.InputContainer, stream: av.AudioStream) -> Iterator[av.AudioFrame | None]:
    """Yield the frames of a stream, and None for every packet that cannot be decoded."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except FFmpegError:  # the file ends within a packet
            yield None
            return
        if packet is None:
            return
        try:
            yield from packet.decode()
        except FFmpegError:
            yield None


def _pcm16_of(frame: av.AudioFrame) -> NDArray[np.int16]:
    """Return the samples of a packed frame, int16 (n, channels). PyAV crashes on a planar one with eight channels."""
    samples: NDArray[Any] = frame.to_ndarray().reshape(-1, frame.layout.nb_channels)
    if samples.dtype == np.int16:
        return samples
    if samples.dtype == np.uint8:
        return (samples.astype(np.int16) - 128) * 256
    if np.issubdtype(samples.dtype, np.integer):
        return (samples >> (samples.dtype.itemsize * 8 - 16)).astype(np.int16)
    return to_pcm16(samples)
