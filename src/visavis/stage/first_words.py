"""The first words of a session wait for a user to hear them. Pure: positions are those of the performance."""

from __future__ import annotations

from visavis.stage.timeline import PLAYOUT_RATE_HZ, SAMPLES_PER_MS

# From a user's being there to its hearing the avatar: the room's server offers it the sound, and it answers.
SETTLE_SAMPLES = 500 * SAMPLES_PER_MS


class FirstWords:
    """Says how long the first words wait. `hold_s`: for a user, at most, from their arrival on; None for not at all."""

    def __init__(self, hold_s: float | None) -> None:
        self._hold_samples: int | None = None
        self._came_at: int | None = None  # where the first words came
        self._user_came_at: int | None = None  # where the first user came
        if hold_s is not None:
            self.hold(hold_s)

    @property
    def are_waiting(self) -> bool:
        """Whether the first words have come, and no user has."""
        return self._hold_samples is not None and self._came_at is not None and self._user_came_at is None

    def hold(self, seconds: float) -> None:
        """Let the first words wait so long at most, unless they have come."""
        if self._came_at is None:
            self._hold_samples = int(seconds * PLAYOUT_RATE_HZ)

    def came(self, position: int) -> int | None:
        """Speech has come. Return for how many samples it waits from here on; None for as long as before."""
        if self._came_at is not None:
            return None
        self._came_at = position
        return self._samples_left(position)

    def user_came(self, position: int) -> int | None:
        """A user has come. Return for how many samples the first words wait from here on; None as for `came`."""
        if self._user_came_at is not None:
            return None
        self._user_came_at = position
        return self._samples_left(position)

    def _samples_left(self, position: int) -> int | None:
        if self._hold_samples is None or self._came_at is None:
            return None
        end = self._came_at + self._hold_samples
        if self._user_came_at is not None:
            end = min(end, self._user_came_at + SETTLE_SAMPLES)
        return max(0, end - position)
