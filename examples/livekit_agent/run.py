"""`make livekit-demo`: a LiveKit server, a Visavis server, an agent with a face, and a page that shows the room.

Everything runs on this machine. The first start builds the LiveKit server (Go, two minutes), makes an environment with
livekit-agents, and fetches LiveKit's client for the browser (npm); later ones need no network. With `BOT=node` the
agent runs in Node (integrations/livekit-node/examples/agent.js); with `BOT=pipecat` a bot of Pipecat is in the room in
the agent's place (integrations/pipecat/examples/livekit_bot.py).
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
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tools.livekit import environment, node_environment, server
from tools.pipecat import environment as pipecat
from visavis.demo.server_process import ServerProcess

HERE = Path(__file__).parent
BOT = pipecat.PROJECT / "examples" / "livekit_bot.py"
LIVEKIT_CLIENT = "2.23.0"
SCRIPT = "livekit-client.umd.js"
AGENT_WITHIN_S = 60
NODE_ERROR = 50  # the level of an error in the log of an agent in Node


def fetch_client() -> Path:
    """Return LiveKit's client for the browser, fetched once."""
    folder = server.PROGRAM.cache.parent / f"livekit-client-{LIVEKIT_CLIENT}"
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
        message = told.get("message") or told.get("msg")  # in Python, in Node
        if message == "registered worker":
            registered.set()
        elif told.get("level") in ("ERROR", NODE_ERROR):
            print(message, told.get("exc_info", ""), file=sys.stderr)


class Page(SimpleHTTPRequestHandler):
    """Serves the page, LiveKit's client, and a token for each visitor, in a room of its own. `opened` gets its name."""

    def __init__(
        self,
        *arguments: Any,
        livekit: server.LiveKitServer,
        script: Path,
        opened: Callable[[str], None],
        **options: Any,
    ) -> None:
        self._livekit, self._script, self._opened = livekit, script, opened
        super().__init__(*arguments, directory=str(HERE), **options)

    def do_GET(self) -> None:  # the name that http.server calls
        if self.path == "/join":
            room = f"demo-{secrets.token_hex(4)}"
            token = self._livekit.token(room, f"visitor-{secrets.token_hex(2)}")
            self._opened(room)
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


class Programs:
    """Programs that `close` ends, whatever they do."""

    def __init__(self, environ: dict[str, str]) -> None:
        self._environ = environ
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self, *command: str | Path, **options: Any) -> subprocess.Popen[bytes]:
        self._running.append(subprocess.Popen(command, env=self._environ, **options))
        return self._running[-1]

    def close(self) -> None:
        for one in self._running:
            one.kill()
            one.wait()


def prepare(bot: str) -> list[str | Path]:
    """Return the command that starts what speaks in the room. Everything it needs is made once."""
    if bot == "pipecat":
        return [pipecat.prepare(), BOT]
    if bot == "livekit":
        return [environment.prepare(), HERE / "agent.py", "start"]
    package = node_environment.prepare()
    subprocess.run(["npm", "run", "build", "--silent"], cwd=package, check=True)
    return ["node", package / "examples" / "agent.js", "start"]


def start_agent(programs: Programs, command: list[str | Path]) -> None:
    """Start the agent, which takes every room that opens. Raises TimeoutError."""
    agent = programs.start(*command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    registered = threading.Event()
    threading.Thread(target=follow, args=(agent, registered), daemon=True).start()
    if not registered.wait(AGENT_WITHIN_S):
        raise TimeoutError("The agent has not registered with the LiveKit server")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=8090, help="of the page")
    parser.add_argument("--avatar", help="name or id")
    parser.add_argument(
        "--bot", choices=["livekit", "node", "pipecat"], default="livekit", help="what speaks in the room"
    )
    chosen = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    print("Preparing: the first time this takes some minutes.", file=sys.stderr)
    server.PROGRAM.build()
    command, script = prepare(chosen.bot), fetch_client()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="visavis-livekit-")))
        livekit = stack.enter_context(server.running(folder))
        visavis = stack.enter_context(ServerProcess(data_dir=folder / "visavis", log=folder / "visavis.log"))
        visavis.wait_ready()
        environ = os.environ | {
            "LIVEKIT_URL": livekit.url,
            "LIVEKIT_API_KEY": server.KEY,
            "LIVEKIT_API_SECRET": server.SECRET,
            "VISAVIS_API_URL": visavis.base_url,
            "VISAVIS_API_KEY": visavis.create_key("livekit-demo"),
        }
        if chosen.avatar:
            environ["AVATAR"] = chosen.avatar
        programs = Programs(environ)
        stack.callback(programs.close)
        if chosen.bot == "pipecat":
            environ["PYTHONPATH"] = pipecat.paths()
        else:
            start_agent(programs, command)

        def opened(room: str) -> None:
            """The LiveKit server calls its agent; a bot of Pipecat is started for each room."""
            if chosen.bot == "pipecat":
                programs.start(*command, room)

        page = ThreadingHTTPServer(
            ("127.0.0.1", chosen.port), partial(Page, livekit=livekit, script=script, opened=opened)
        )
        stack.callback(page.server_close)
        print(f"Open http://127.0.0.1:{chosen.port}/  (Ctrl-C ends everything)", flush=True)
        with suppress(KeyboardInterrupt):
            page.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
