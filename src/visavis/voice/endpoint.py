"""A synthesiser behind HTTP: any endpoint that takes what OpenAI's `/v1/audio/speech` takes.

    POST {url}/audio/speech  {"model", "input", "voice", "response_format"}   →   sound, streamed

The operator has named it, so it may have a private address. What it answers is trusted no further than it is sound.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator

import anyio
import httpx
import structlog
from anyio.to_thread import run_sync

from visavis.errors import VoiceBusy, VoiceFailed, VoiceTimedOut
from visavis.voice.port import Sound, TakeSound, Words
from visavis.voice.sound import SoundReader

MIN_PROGRESS_S = 0.02  # of sound: less counts as none
MAX_SENTENCE_S = 180.0  # of sound: an answer that goes on is no sentence
FIRST_RETRY_S = 0.5
BUSY, RETRIED = (429, 503), (429, 500, 502, 503, 504)

log = structlog.get_logger()


class SpeechEndpoint:
    """Implements `voice.port.Synthesiser`. `voices`: the voice of each language, by its primary tag. `rate_hz`: of raw
    samples that declare none. `stall_s`: how long it may take until sound comes, or more of it.
    """

    def __init__(
        self,
        *,
        url: str,
        key: str | None,
        model: str,
        voice: str,
        voices: dict[str, str],
        response_format: str,
        rate_hz: int | None,
        stall_s: float,
    ) -> None:
        self._url = url if url.endswith("/speech") else f"{url.rstrip('/')}/audio/speech"
        self._headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        self._model, self._format, self._rate_hz, self._stall_s = model, response_format, rate_hz, stall_s
        self._voice, self._voices = voice, voices
        self._http: httpx.AsyncClient | None = None  # made by `prepare`, or for the first sentence

    async def prepare(self) -> None:
        """Read the certificates, which takes a moment."""
        await self._client()

    async def aclose(self) -> None:
        http, self._http = self._http, None
        if http is not None:
            await http.aclose()

    async def synthesise(self, words: Words, take: TakeSound) -> None:
        http = await self._client()
        deadline_s = anyio.current_time() + self._stall_s
        response = await self._ask(http, words, deadline_s)
        try:
            await self._read(response, take, deadline_s)
        finally:
            with anyio.CancelScope(shield=True), anyio.move_on_after(1):
                await response.aclose()

    async def _client(self) -> httpx.AsyncClient:
        if self._http is None:
            # without TLS no certificate is checked, and there is no redirect to an address with it
            tls = await run_sync(httpx.create_ssl_context) if self._url.startswith("https:") else False
            if self._http is None:  # another call may have made it meanwhile
                limits = httpx.Limits(max_connections=None, max_keepalive_connections=16, keepalive_expiry=30)
                self._http = httpx.AsyncClient(timeout=None, trust_env=False, verify=tls, limits=limits)
        return self._http

    async def _ask(self, http: httpx.AsyncClient, words: Words, deadline_s: float) -> httpx.Response:
        """Return the answer, whose body has not come yet. An endpoint that is busy is asked again while there is time.

        Raises `VoiceFailed`, `VoiceTimedOut` and `VoiceBusy`.
        """
        wait_s = FIRST_RETRY_S
        failure: VoiceFailed | VoiceBusy | None = None
        while True:
            try:
                response, problem = await self._try(http, words, deadline_s)
            except VoiceTimedOut:
                if failure is None:
                    raise
                raise failure from None  # why it was asked again says more
            if response is not None and response.status_code == 200:
                return response
            status = 0 if response is None else response.status_code
            asked_for_s = None
            if response is not None:
                asked_for_s = _seconds(response.headers.get("retry-after"))
                problem = await _refusal(response, deadline_s)
            wait_s = wait_s if asked_for_s is None else asked_for_s
            may_retry = response is None or status in RETRIED
            failure = VoiceBusy(problem) if status in BUSY else VoiceFailed(problem)
            if not may_retry or anyio.current_time() + wait_s >= deadline_s:
                raise failure
            await anyio.sleep(wait_s)
            wait_s *= 2

    async def _try(self, http: httpx.AsyncClient, words: Words, deadline_s: float) -> tuple[httpx.Response | None, str]:
        """Ask once; return the answer, or why there is none."""
        request = http.build_request(
            "POST",
            self._url,
            headers=self._headers,
            json={
                "model": self._model,
                "input": words.text,
                "voice": self._voice_of(words),
                "response_format": self._format,
            },
        )
        try:
            with anyio.fail_after(max(0.0, deadline_s - anyio.current_time())):
                return await http.send(request, stream=True), ""
        except TimeoutError:
            raise VoiceTimedOut("the synthesiser does not answer") from None
        except (httpx.HTTPError, OSError) as error:
            return None, f"the synthesiser cannot be reached: {type(error).__name__}"

    def _voice_of(self, words: Words) -> str:
        primary = (words.language or "").lower().replace("_", "-").partition("-")[0]
        return words.voice or self._voices.get(primary, self._voice)

    async def _read(self, response: httpx.Response, take: TakeSound, deadline_s: float) -> None:
        """Pass the sound of an answer on."""
        reader = SoundReader(content_type=response.headers.get("content-type", ""), rate_hz=self._rate_hz)
        body = aiter(response.aiter_bytes())
        taken_s = counted_s = 0.0
        try:
            while (data := await _next(body, deadline_s)) is not None:
                began_s = anyio.current_time()
                for sound in reader.feed(data):
                    taken_s += _duration_s(sound)
                    await take(sound)
                deadline_s += anyio.current_time() - began_s  # the endpoint does not answer for what `take` waits for
                if taken_s > MAX_SENTENCE_S:
                    raise VoiceFailed("the synthesiser's answer does not end")
                if taken_s - counted_s >= MIN_PROGRESS_S:
                    deadline_s, counted_s = anyio.current_time() + self._stall_s, taken_s
            rest = reader.finish()
        except VoiceFailed:
            for sound in reader.break_off():
                await take(sound)
            raise
        for sound in rest:
            await take(sound)
        reader.check_whole()


async def _next(body: AsyncIterator[bytes], deadline_s: float) -> bytes | None:
    """Return the next bytes, None at the end. Raises `VoiceTimedOut` and `VoiceFailed`."""
    try:
        with anyio.fail_after(max(0.0, deadline_s - anyio.current_time())):
            return await anext(body, None)
    except TimeoutError:
        raise VoiceTimedOut("the synthesiser sends no more sound") from None
    except (httpx.HTTPError, OSError):
        raise VoiceFailed("the synthesiser's answer was cut off") from None


async def _refusal(response: httpx.Response, deadline_s: float) -> str:
    """Return what the status of an answer says. Its text is logged and not passed on: it may quote the key."""
    text = ""
    try:
        with anyio.move_on_after(min(1.0, max(0.0, deadline_s - anyio.current_time()))):
            text = (await response.aread())[:500].decode(errors="replace")
    except (httpx.HTTPError, OSError):
        pass
    finally:
        with anyio.CancelScope(shield=True), anyio.move_on_after(1):
            await response.aclose()
    log.warning("synthesis_refused", status=response.status_code, answer=text)
    return f"the synthesiser answered {response.status_code}"


def _seconds(header: str | None) -> float | None:
    try:
        seconds = float(header) if header is not None else math.nan
    except ValueError:  # a date
        return None
    return seconds if seconds >= 0 else None


def _duration_s(sound: Sound) -> float:
    return len(sound.pcm) / 2 / sound.rate_hz
