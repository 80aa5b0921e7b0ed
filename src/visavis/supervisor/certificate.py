"""The certificate that the stages of a machine show to servers, and the authority that has signed it. Both are made at
each start; the authority's key never leaves this process. Servers find the authority in the machine's row of the
database (store/stage_rows.py), so nothing has to be carried from machine to machine.

The certificate is renewed while the machine runs. The stage processes take the new one (tls/renewal.py), and servers
notice nothing: the authority is the same.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import structlog

from visavis.tls.authority import Authority, Host, make_authority, parse_host, pem_of_certificate, pem_of_key, sign

RENEWED_EVERY_S = 30 * 86_400.0  # a certificate lasts 397 days

log = structlog.get_logger("visavis.supervisor")


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineCertificate:
    """`authority`: whom servers trust. `file`, `key_file`: what the stage processes read."""

    authority: Authority
    host: Host
    file: Path
    key_file: Path

    @property
    def authority_pem(self) -> str:
        return pem_of_certificate(self.authority.certificate).decode()

    def renew(self, *, now: datetime | None = None) -> None:
        """Write another certificate and its key, each file in one step. Raises OSError."""
        signed = sign(self.authority, [self.host], now=now)
        _write(self.key_file, pem_of_key(signed.key))
        _write(self.file, pem_of_certificate(signed.certificate))

    async def renew_always(self) -> None:
        """Renew it until cancelled."""
        while True:
            await asyncio.sleep(RENEWED_EVERY_S)
            try:
                await asyncio.to_thread(self.renew)
            except OSError as error:  # the one of now lasts for a year
                log.error("stage_certificate_not_renewed", problem=error.strerror or str(error))


@contextmanager
def made_for(host: str, folder: Path) -> Iterator[MachineCertificate]:
    """Make a certificate for the name or the address by which servers reach this machine. Its files are in `folder`,
    for this user alone, until the end of this context. Raises OSError, and ValueError for a host that is none.
    """
    name = parse_host(host)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".tls-") as made:
        certificate = MachineCertificate(
            authority=make_authority([name], name=f"Visavis stage {host}"[:64]),
            host=name,
            file=Path(made) / "stage.pem",
            key_file=Path(made) / "stage.key",
        )
        certificate.renew()
        yield certificate


def _write(path: Path, data: bytes) -> None:
    partial = path.with_suffix(".new")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data)
    partial.replace(path)
