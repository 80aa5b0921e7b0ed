"""Refuses sound files that a client sends as speech. Speech is raw samples: the header of a WAV file would be a click,
and an MP3 file would be noise.
"""

from __future__ import annotations

from visavis.engine.audio.headers import sound_file_of
from visavis.errors import InvalidAudio

PAUSE_S = 1.0


class SoundFileCheck:
    """Recognises a file by its header. The rest of the file has no header. So after a header all audio is refused until
    the utterance ends or the client sends none for PAUSE_S.
    """

    def __init__(self) -> None:
        self._kind: str | None = None  # of the file that is being refused
        self._utterance_id: str | None = None
        self._last_s = 0.0  # when the last piece of it came

    def check(self, pcm: bytes, *, utterance_id: str | None, at_s: float) -> None:
        """Raises `InvalidAudio` for a piece of a sound file. `at_s`: the time of any monotonic clock."""
        if not pcm:
            return
        kind = sound_file_of(pcm)
        if kind is not None:
            self._kind, self._utterance_id = kind, utterance_id
        elif utterance_id not in (None, self._utterance_id) or at_s - self._last_s >= PAUSE_S:
            self.reset()
        if self._kind is not None:
            self._last_s = at_s
            raise InvalidAudio(f"audio is {self._kind}, not raw PCM16; send decoded samples, without a header")

    def reset(self) -> None:
        """Forget the refused file: the audio that follows is not part of it."""
        self._kind = self._utterance_id = None
