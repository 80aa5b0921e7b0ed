"""The certificate that the stages of a machine show to servers: made at each start, by an authority whose key nobody
keeps. Servers find that authority in the machine's row of the database (store/stage_rows.py), so nothing has to be
carried from machine to machine.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from visavis.tls.authority import make_authority, parse_host, pem_of_certificate, pem_of_key, sign


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineCertificate:
    """`authority_pem`: what servers trust. `file`, `key_file`: what the stage processes read."""

    authority_pem: str
    file: Path
    key_file: Path


@contextmanager
def made_for(host: str, folder: Path) -> Iterator[MachineCertificate]:
    """Make a certificate for the name or the address by which servers reach this machine. Its files are in `folder`,
    for this user alone, until the end of this context. Raises OSError, and ValueError for a host that is none.
    """
    name = parse_host(host)
    authority = make_authority([name], name=f"Visavis stage {host}"[:64])
    signed = sign(authority, [name])
    with tempfile.TemporaryDirectory(dir=folder, prefix=".tls-") as made:
        file, key_file = Path(made) / "stage.pem", Path(made) / "stage.key"
        with os.fdopen(os.open(key_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as written:
            written.write(pem_of_key(signed.key))
        file.write_bytes(pem_of_certificate(signed.certificate))
        yield MachineCertificate(
            authority_pem=pem_of_certificate(authority.certificate).decode(), file=file, key_file=key_file
        )
