"""The speech of a channel as it comes in: what earlier messages have set for it, and what it is checked for. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from visavis.channel.encoding_check import EncodingCheck
from visavis.channel.encodings import USUAL, Encoding
from visavis.channel.handed_conversation import Mark
from visavis.channel.sample_count import SampleCount
from visavis.channel.sound_files import SoundFileCheck
from visavis.channel.speech import DEFAULT_RATE_HZ, AudioFormat, ReadSpeech, read_binary
from visavis.stage.port.values import Speech


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechSettings:
    """What earlier messages of the client have set for the speech that follows. `binary_rate_hz`, `binary_encoding`: of
    binary frames, by `audio.format`. `interrupted`: an interrupt came after the last speech.
    """

    binary_rate_hz: int = DEFAULT_RATE_HZ
    binary_encoding: Encoding = USUAL
    interrupted: bool = False


class SpeechIntake:
    """`settings` is replaced by messages, `sample_count` changes with confirmations."""

    def __init__(self) -> None:
        self.settings = SpeechSettings()
        self.sample_count = SampleCount()
        self._encoding_check = EncodingCheck()
        self._sound_files = SoundFileCheck()
        self._named_encoding = False  # the client knows of encodings: it has named one

    @classmethod
    def take_over(cls, mark: Mark) -> SpeechIntake:
        """Go on with that of another server."""
        intake = cls()
        intake.settings = SpeechSettings(
            binary_rate_hz=mark.binary_rate_hz, binary_encoding=mark.binary_encoding, interrupted=mark.interrupted
        )
        intake.sample_count = mark.sample_count
        return intake

    def set_format(self, told: AudioFormat) -> None:
        """An `audio.format` has come: it applies to all later binary frames."""
        encoding = told.encoding or USUAL
        self.settings = replace(self.settings, binary_rate_hz=told.sample_rate, binary_encoding=encoding)
        self._named_encoding |= told.encoding is not None

    def interrupt(self) -> None:
        """What follows is no part of what came before."""
        self._sound_files.reset()
        self.settings = replace(self.settings, interrupted=True)

    def take_interrupted(self) -> bool:
        """Whether the speech that begins now is the first after an interrupt."""
        interrupted = self.settings.interrupted
        if interrupted:
            self.settings = replace(self.settings, interrupted=False)
        return interrupted

    def read_binary(self, data: bytes, *, number: int) -> ReadSpeech:
        """Read a binary frame. `number`: its place among the client's frames. Raises `MessageTooLarge`,
        `OddAudioLength`.
        """
        settings = self.settings
        return read_binary(data, rate_hz=settings.binary_rate_hz, number=number, encoding=settings.binary_encoding)

    def check(self, read: ReadSpeech, *, at_s: float) -> None:
        """Raises `InvalidAudio` for a piece of a sound file. `at_s`: the time of any monotonic clock."""
        try:
            self._sound_files.check(read.raw, utterance_id=read.speech.utterance_id, at_s=at_s)
        finally:
            if read.speech.final:
                self._sound_files.reset()
        self._named_encoding |= read.named

    def other_encoding(self, read: ReadSpeech, *, tells_all: bool) -> str | None:
        """Return another encoding that the audio sounds like, if the client is to know: once, and only if it has named
        an encoding or `tells_all`.
        """
        found = self._encoding_check.look(read.raw, read.encoding)
        return found if self._named_encoding or tells_all else None

    def take_suspected_encoding(self) -> str | None:
        """Return the encoding that the audio sounds like, for the log; once."""
        return self._encoding_check.take_suspected()

    def confirm(self, speech: Speech, samples: int, *, after_interrupt: bool) -> int:
        """Return `audio_samples` of a piece that completed so many samples at its own rate."""
        if after_interrupt:
            self.sample_count.reset()
        share = 0
        if samples:
            share = self.sample_count.add(samples, rate_hz=speech.sample_rate_hz, utterance_id=speech.utterance_id)
        if speech.final:
            self.sample_count.reset()
        return share
