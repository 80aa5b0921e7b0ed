"""Counts confirmed speech: `audio_samples` is a count at 16 kHz, whatever the sample rate of the speech."""

from __future__ import annotations

from dataclasses import dataclass

CONFIRMED_RATE_HZ = 16_000


@dataclass(slots=True)
class SampleCount:
    """Counts one utterance's samples at 16 kHz. Each message gets its share; the shares add up to the rounded count of
    the whole utterance.
    """

    rate_hz: int = CONFIRMED_RATE_HZ
    utterance_id: str | None = None
    received: int = 0  # samples at rate_hz, of this utterance
    confirmed: int = 0  # samples at 16 kHz, of this utterance

    def add(self, samples: int, *, rate_hz: int, utterance_id: str | None) -> int:
        """Return the share of the next message. Another rate or another utterance starts a new count."""
        if (rate_hz, utterance_id) != (self.rate_hz, self.utterance_id):
            self.rate_hz, self.utterance_id, self.received, self.confirmed = rate_hz, utterance_id, 0, 0
        self.received += samples
        total = (2 * self.received * CONFIRMED_RATE_HZ + rate_hz) // (2 * rate_hz)  # rounded half up, in integers
        share, self.confirmed = total - self.confirmed, total
        return share

    def reset(self) -> None:
        self.received = self.confirmed = 0
