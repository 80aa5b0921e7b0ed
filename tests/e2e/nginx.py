"""A real nginx with TLS in front of a server, configured as docs/howto/proxy.md says."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.certificates import write_certificate

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
PAGE = Path(__file__).parents[2] / "docs" / "howto" / "proxy.md"
STARTED_WITHIN_S = 10

# What Debian's nginx.conf has around the files of its sites, for a user who may not write to /var.
_AROUND = """
{user}
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{}}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
{site}
}}
"""


def documented_site() -> str:
    (block,) = re.findall(r"```nginx\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    return str(block)


def replaced(text: str, old: str, new: str) -> str:
    assert text.count(old) == 1, old
    return text.replace(old, new)


@contextmanager
def nginx(folder: Path, *, port: int, upstream_port: int, changes: dict[str, str]) -> Iterator[Path]:
    """Run nginx on 127.0.0.1 with changes of the documented configuration; yield its certificate."""
    assert NGINX is not None
    folder.mkdir()
    certificate, key = write_certificate(folder, "127.0.0.1")
    site = replaced(documented_site(), "listen 443 ssl;", f"listen 127.0.0.1:{port} ssl;")
    site = replaced(site, "/etc/ssl/example.org.pem", str(certificate))
    site = replaced(site, "/etc/ssl/example.org.key", str(key))
    site = replaced(site, "server 127.0.0.1:8000;", f"server 127.0.0.1:{upstream_port};")
    for documented, changed in changes.items():
        site = replaced(site, documented, changed)
    user = "user root;" if os.geteuid() == 0 else ""  # the folders of tests are private
    config = folder / "nginx.conf"
    config.write_text(_AROUND.format(folder=folder, site=site, user=user))
    process = subprocess.Popen([NGINX, "-c", str(config), "-e", str(folder / "error.log"), "-p", str(folder)])
    try:
        wait_until_open(process, port, folder / "error.log")
        yield certificate
    finally:
        process.terminate()
        process.wait(STARTED_WITHIN_S)


def wait_until_open(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline_s = time.monotonic() + STARTED_WITHIN_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            assert process.poll() is None and time.monotonic() < deadline_s, log.read_text()
            time.sleep(0.05)  # there is no event that tells when the socket opens
