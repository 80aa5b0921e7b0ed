"""The local neural voice (the extra `visavis[voice]`): a process beside the server, which answers as any other speech
endpoint does. It ends with this server, however that ends: its input closes then.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version

import anyio
import structlog
from anyio.abc import Process
from anyio.streams.text import TextReceiveStream

from visavis.engine.child_process import kept_environment
from visavis.errors import SettingInvalid, VoiceFailed
from visavis.voice.port import Synthesiser, TakeSound, Words

LOCAL = "local"  # the value of VISAVIS_VOICE_URL
PACKAGE = "visavis_voice"
READY_WITHIN_S = 20.0  # until it has read its weights
ENDS_WITHIN_S = 2.0

log = structlog.get_logger()


def require_local_voice() -> None:
    """Raises `SettingInvalid` if the extra is not installed."""
    try:
        version("visavis-voice")
    except PackageNotFoundError:
        raise SettingInvalid(
            "VISAVIS_VOICE_URL: local needs the local voice", suggestion="Install visavis[voice], or name an endpoint"
        ) from None


class LocalVoice:
    """Implements `voice.port.Synthesiser`. `endpoint_at`: makes the client of an endpoint at an address. `command`: of
    the process, which prints its address when it is ready.
    """

    def __init__(
        self,
        endpoint_at: Callable[[str], Synthesiser],
        *,
        command: tuple[str, ...] = (sys.executable, "-m", PACKAGE, "--port", "0", "--until-input-ends"),
    ) -> None:
        self._endpoint_at, self._command = endpoint_at, command
        self._process: Process | None = None
        self._endpoint: Synthesiser | None = None
        self._starting = anyio.Lock()

    async def prepare(self) -> None:
        with suppress(VoiceFailed):  # it was logged, and the first text tries again
            await self._started()

    async def synthesise(self, words: Words, take: TakeSound) -> None:
        await (await self._started()).synthesise(words, take)

    async def aclose(self) -> None:
        endpoint, self._endpoint = self._endpoint, None
        if endpoint is not None:
            await endpoint.aclose()
        await self._end()

    async def _started(self) -> Synthesiser:
        """Return the endpoint of the process; start one if none runs. Raises `VoiceFailed`."""
        async with self._starting:
            if self._endpoint is not None and self._process is not None and self._process.returncode is None:
                return self._endpoint
            await self.aclose()
            self._process = await anyio.open_process(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=None, env=kept_environment()
            )
            address = ""
            with anyio.move_on_after(READY_WITHIN_S), suppress(anyio.EndOfStream):
                assert self._process.stdout is not None
                lines = TextReceiveStream(self._process.stdout)
                while not address.endswith("\n"):
                    address += await lines.receive()
            if not address.startswith("http"):
                await self._end()
                log.error("local_voice_not_started", returncode=self._process.returncode if self._process else None)
                raise VoiceFailed("the local voice does not start")
            self._endpoint = self._endpoint_at(address.strip())
            log.info("local_voice_started", address=address.strip())
            return self._endpoint

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with anyio.CancelScope(shield=True):
            if process.returncode is None:
                process.terminate()
                with anyio.move_on_after(ENDS_WITHIN_S):
                    await process.wait()
            if process.returncode is None:
                process.kill()
            await process.aclose()
