"""`make livekit-demo`: a LiveKit server, a Visavis server, an agent with a face, and a page that shows the room.

Everything runs on this machine. The first start builds the LiveKit server (Go, two minutes), makes an environment with
livekit-agents, and fetches LiveKit's client for the browser (npm); later ones need no network.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tools.livekit import environment, server
from visavis.demo.server_process import ServerProcess

HERE = Path(__file__).parent
LIVEKIT_CLIENT = "2.23.0"
SCRIPT = "livekit-client.umd.js"
AGENT_WITHIN_S = 60


def fetch_client() -> Path:
    """Return LiveKit's client for the browser, fetched once."""
    folder = server.CACHE.parent / f"livekit-client-{LIVEKIT_CLIENT}"
    script = folder / "node_modules" / "livekit-client" / "dist" / SCRIPT
    if not script.exists():
        folder.mkdir(parents=True, exist_ok=True)
        command = [
            "npm",
            "install",
            "--no-save",
            "--silent",
            "--prefix",
            str(folder),
            f"livekit-client@{LIVEKIT_CLIENT}",
        ]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return script


def follow(agent: subprocess.Popen[bytes], registered: threading.Event) -> None:
    """Read the agent's log: it says when it is registered, and errors are shown."""
    assert agent.stdout is not None
    for line in agent.stdout:
        try:
            told = json.loads(line)
        except ValueError:
            told = {"message": line.decode(errors="replace").strip(), "level": "ERROR"}
        if told.get("message") == "registered worker":
            registered.set()
        elif told.get("level") == "ERROR":
            print(told.get("message"), told.get("exc_info", ""), file=sys.stderr)


class Page(SimpleHTTPRequestHandler):
    """Serves the page, LiveKit's client, and a token for each visitor, in a room of its own."""

    def __init__(self, *arguments: Any, livekit: server.LiveKitServer, script: Path, **options: Any) -> None:
        self._livekit, self._script = livekit, script
        super().__init__(*arguments, directory=str(HERE), **options)

    def do_GET(self) -> None:  # the name that http.server calls
        if self.path == "/join":
            room = f"demo-{secrets.token_hex(4)}"
            token = self._livekit.token(room, f"visitor-{secrets.token_hex(2)}")
            self._answer("application/json", json.dumps({"url": self._livekit.url, "token": token}).encode())
        elif self.path == f"/{SCRIPT}":
            self._answer("text/javascript", self._script.read_bytes())
        else:
            self.path = "/page.html"
            super().do_GET()

    def log_message(self, format: str, *arguments: Any) -> None:
        pass

    def _answer(self, kind: str, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=8090, help="of the page")
    parser.add_argument("--avatar", default="iris", help="name or id")
    chosen = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    print("Preparing: the first time this takes some minutes.", file=sys.stderr)
    server.build()
    python, script = environment.prepare(), fetch_client()
    with tempfile.TemporaryDirectory(prefix="visavis-livekit-") as folder:
        path = Path(folder)
        with (
            server.running(path) as livekit,
            ServerProcess(data_dir=path / "visavis", log=path / "visavis.log") as visavis,
        ):
            visavis.wait_ready()
            environ = os.environ | {
                "LIVEKIT_URL": livekit.url,
                "LIVEKIT_API_KEY": server.KEY,
                "LIVEKIT_API_SECRET": server.SECRET,
                "VISAVIS_API_URL": visavis.base_url,
                "VISAVIS_API_KEY": visavis.create_key("livekit-demo"),
                "AVATAR": chosen.avatar,
            }
            agent = subprocess.Popen(
                [python, HERE / "agent.py", "start"], env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            )
            registered = threading.Event()
            threading.Thread(target=follow, args=(agent, registered), daemon=True).start()
            if not registered.wait(AGENT_WITHIN_S):
                print("The agent has not registered with the LiveKit server", file=sys.stderr)
                return 1
            page = ThreadingHTTPServer(("127.0.0.1", chosen.port), partial(Page, livekit=livekit, script=script))
            try:
                print(f"Open http://127.0.0.1:{chosen.port}/  (Ctrl-C ends everything)", flush=True)
                page.serve_forever()
            except KeyboardInterrupt:
                pass
            finally:
                page.server_close()
                agent.kill()  # whatever it still says
                agent.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
