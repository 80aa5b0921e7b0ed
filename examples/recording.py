"""Reads the speech of a sound file for the examples. Needs av (PyAV), which comes with Visavis."""

from array import array

import av


def read_speech(path: str) -> tuple[bytes, int]:
    """Return the speech of any sound file that FFmpeg decodes, as the channel takes it: mono PCM16, and its sample rate
    in Hz. Ends the program in one line if that is not possible.

    Of several channels the loudest is taken: their sum is silence if two are in opposite phase.
    """
    try:
        with av.open(path, options={"protocol_whitelist": "file,pipe"}) as container:
            stream = container.streams.best("audio")
            if stream is None:
                raise SystemExit(f"{path} contains no sound")
            rate_hz = min(max(stream.rate, 8_000), 48_000)  # the rates that agent.speak takes
            resampler = av.AudioResampler(format="s16", layout=stream.layout, rate=rate_hz)
            samples, channels = array("h"), stream.layout.nb_channels
            for frame in [*container.decode(stream), None]:  # None: what the resampler still keeps
                for block in resampler.resample(frame):
                    samples.frombytes(bytes(block.planes[0])[: 2 * channels * block.samples])
    except FileNotFoundError:
        raise SystemExit(f"There is no file {path}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SystemExit(f"{path} cannot be read as sound ({reason}); WAV, FLAC, OGG, MP3, M4A or WebM can") from None
    if not samples:
        raise SystemExit(f"{path} contains no sound")
    loudest = max((samples[n::channels] for n in range(channels)), key=lambda channel: sum(map(abs, channel)))
    return loudest.tobytes(), rate_hz
