"""Takes a renewed certificate while the server runs: the next handshake is made with it, open connections stay."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import structlog

from visavis.errors import VisavisError
from visavis.tls.pair import Pair, read_pair

LOOK_EVERY_S = 1.0
WARN_DAYS = 14.0  # before the end

log = structlog.get_logger()

_State = tuple[tuple[int, int, int] | None, ...]


class RenewedPair:
    """The pair of two files, as it was when both could last be used. `run` looks until it is cancelled."""

    def __init__(self, certificate_file: Path, key_file: Path) -> None:
        """Raises `SettingInvalid`."""
        self._files = certificate_file, key_file
        self._read: _State = self._state()  # of the files when they were last read, whatever came of it
        self._seen = self._read  # of the files at the last look
        self.pair: Pair = read_pair(certificate_file, key_file)  # changes with each renewal
        self._warned = False  # of the end of this pair

    def context(self) -> ssl.SSLContext:
        """Return what a listener makes each handshake with: the pair as it is then."""
        context = self.pair.context

        def take(connection: ssl.SSLSocket | ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
            connection.context = self.pair.context

        context.sni_callback = take  # called whether a client names a host or not
        return context

    async def run(self) -> None:
        while True:
            await asyncio.to_thread(self.look)
            await asyncio.sleep(LOOK_EVERY_S)

    def look(self) -> None:
        """Read the files if they have changed, and stayed the same since the last look: both are written then.

        A pair that cannot be used is logged once, and the one before goes on being used.
        """
        state = self._state()
        is_settled, self._seen = state == self._seen, state
        if state != self._read and is_settled:
            self._read = state
            self._renew()
        if not self._warned and self.pair.days_left() < WARN_DAYS:
            self._warned = True
            log.warning("certificate_ends", not_after=self.pair.not_after.isoformat(), names=self.pair.names)

    def _renew(self) -> None:
        try:
            self.pair = read_pair(*self._files)
        except VisavisError as error:
            log.warning("certificate_not_taken", problem=error.message, kept_serial=f"{self.pair.serial:x}")
            return
        self._warned = False
        log.info(
            "certificate_renewed",
            serial=f"{self.pair.serial:x}",
            not_after=self.pair.not_after.isoformat(),
            names=self.pair.names,
        )

    def _state(self) -> _State:
        """Return what changes with the files. A link that leads to another file now is a change, too."""
        return tuple(_state_of(path) for path in self._files)


def _state_of(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
