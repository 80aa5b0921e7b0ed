"""What all sessions of a server share to speak text: the synthesiser, the operator's pronunciations, and how many
syntheses run at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import anyio

from visavis.errors import VoiceBusy
from visavis.settings import VoiceSettings
from visavis.voice.endpoint import SpeechEndpoint
from visavis.voice.local import LOCAL, LocalVoice, require_local_voice
from visavis.voice.port import Synthesiser, TakeSound, Words
from visavis.voice.spoken_text import spoken_text

LOCAL_STALL_S = 15.0  # a busy machine speaks slowly, and is not at fault


class Voices:
    """`at_once`: the most syntheses at once. `wait_s`: how long one may wait for its turn."""

    def __init__(
        self,
        synthesiser: Synthesiser,
        *,
        at_once: int,
        wait_s: float,
        pronunciations: Mapping[str, str] | None = None,
    ) -> None:
        self._synthesiser = synthesiser
        self._places = anyio.CapacityLimiter(at_once)
        self._wait_s = wait_s
        self._pronunciations = dict(pronunciations or {})

    def words_of(self, sentence: str) -> str:
        """Return what to speak of a sentence as it was written; empty if that is nothing."""
        return spoken_text(sentence, self._pronunciations)

    async def synthesise(self, words: Words, take: TakeSound) -> None:
        """Like `Synthesiser.synthesise`, in turn. Raises `VoiceBusy` if the turn does not come."""
        owner = object()
        try:
            with anyio.fail_after(self._wait_s):
                await self._places.acquire_on_behalf_of(owner)
        except TimeoutError:
            raise VoiceBusy("too much text is being synthesised") from None
        try:
            await self._synthesiser.synthesise(words, take)
        finally:
            self._places.release_on_behalf_of(owner)

    async def prepare(self) -> None:
        await self._synthesiser.prepare()

    async def aclose(self) -> None:
        await self._synthesiser.aclose()


def open_voices(settings: VoiceSettings) -> Voices | None:
    """Return the voices that the settings name, None if they name no synthesiser. The caller closes them. Raises
    `SettingInvalid` for the local voice if it is not installed.
    """
    if settings.voice_url is None:
        return None
    if settings.voice_url == LOCAL:
        require_local_voice()
    is_local = settings.voice_url == LOCAL
    stall_s = max(settings.voice_stall_s, LOCAL_STALL_S) if is_local else settings.voice_stall_s
    endpoint_at = partial(_endpoint, settings, stall_s=stall_s)
    return Voices(
        LocalVoice(endpoint_at) if is_local else endpoint_at(settings.voice_url),
        at_once=settings.voice_at_once,
        wait_s=stall_s,
        pronunciations=settings.voice_pronunciations,
    )


def _endpoint(settings: VoiceSettings, url: str, *, stall_s: float) -> SpeechEndpoint:
    return SpeechEndpoint(
        url=url,
        key=None if settings.voice_key is None else settings.voice_key.get_secret_value(),
        model=settings.voice_model,
        voice=settings.voice_name,
        voices=settings.voice_names,
        response_format=settings.voice_format,
        rate_hz=settings.voice_sample_rate_hz,
        stall_s=stall_s,
    )
