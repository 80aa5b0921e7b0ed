"""`visavis demo`: runs the server with its playground, or performs, records, measures and checks one session
unattended.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING

from visavis import signals
from visavis.demo.server_process import ServerProcess

if TYPE_CHECKING:
    from visavis.demo.session_run import Run


PLAYGROUND_KEY = "playground"  # the name of the key with which `make demo` signs in


def run(*, once: bool, out: Path, port: int) -> None:
    """Run the demo. With `once`, write the film of what the viewer received to `out`, and raise `ContractBroken` or
    `DemoFailed` if something was wrong.
    """
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, signals.end_in_order)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # shells start background jobs with SIGINT ignored
    if once:
        perform_once(out)
    else:
        _serve_playground(port)


def perform_once(out: Path) -> Run:
    """Perform a session on a server of its own, write what the viewer received to `out`, and print the table. Return
    the run.

    The film is written before it is checked. Raises `ServerFailed`, `ContractBroken`, `DemoFailed`.
    """
    from visavis.demo.findings import find
    from visavis.demo.reception import write_film
    from visavis.demo.report import print_findings
    from visavis.demo.session_run import SIZE_PX, perform
    from visavis.library import SAMPLE

    with (
        tempfile.TemporaryDirectory(prefix="visavis-demo-") as name,
        ServerProcess(data_dir=Path(name, "data"), log=Path(name, "log")) as server,
    ):
        print(f"visavis: starting a server at {server.base_url}", file=sys.stderr)
        server.wait_ready()
        print("visavis: performing a session, about 20 s", file=sys.stderr)
        performed = signals.run(perform(server.base_url, server.create_key("demo"), SAMPLE))
    sound, pictures = performed.reception.sound(), performed.reception.pictures_of_size(*SIZE_PX)
    if sound is not None and pictures:
        write_film(out, pictures, sound)
    print_findings(find(performed), out)
    return performed


def _serve_playground(port: int) -> None:
    with ServerProcess(
        port=port, settings={"VISAVIS_LOG_LEVEL": os.environ.get("VISAVIS_LOG_LEVEL", "warning")}
    ) as server:
        try:
            print(
                f"visavis: starting a server at {server.base_url}",
                file=sys.stderr,
            )
            server.wait_ready()
            address = server.sign_in_address(PLAYGROUND_KEY)
            print(
                f"\n  Visavis is at  {address}\n\n  This address signs in once; {server.base_url}/ keeps you signed in."
                "\n  Ctrl-C stops it.\n",
                flush=True,
            )
            if sys.platform == "darwin" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
                webbrowser.open(address)
            raise SystemExit(server.wait())
        except KeyboardInterrupt:
            print("\nvisavis: stopping", file=sys.stderr)
