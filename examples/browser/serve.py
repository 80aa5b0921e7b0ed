"""A page in which an avatar speaks what a voice service says (docs/howto/browser.md).

python examples/browser/serve.py --key ah_live_... [--base http://127.0.0.1:8000] [--port 3000]

Needs httpx. Your API key stays here: each visitor's page gets tokens that open its own session alone, for ten minutes.
"""

from __future__ import annotations

import argparse
import contextlib
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx

HERE = Path(__file__).parent
TYPES = {".html": "text/html; charset=utf-8", ".js": "text/javascript"}
PURPOSES = ("watch", "speak", "control")


def main() -> None:
    arguments = _arguments()
    api = httpx.Client(base_url=arguments.base, headers={"x-api-key": arguments.key}, timeout=30)

    class Site(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.lstrip("/") or "index.html"
            if name == "voice.wav":  # what the stand-in for a voice service says
                self._answer(api.get("/samples/sample.wav").content, "audio/wav")
            elif name in ("index.html", "voice-service.js"):
                page = (HERE / name).read_text(encoding="utf-8").replace("{server}", arguments.base)
                self._answer(page.encode(), TYPES[Path(name).suffix])
            else:
                self.send_error(404)

        def do_POST(self) -> None:
            if self.path != "/avatar":
                self.send_error(404)
                return
            try:
                made = start_session(api, origin=self.headers.get("Origin", ""))
            except httpx.HTTPError as error:
                self.send_error(502, str(error))
                return
            self._answer(json.dumps(made).encode(), "application/json")

        def _answer(self, body: bytes, kind: str) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")  # it may have tokens
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", arguments.port), Site)
    print(f"Open http://127.0.0.1:{server.server_address[1]}/", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()


def start_session(api: httpx.Client, *, origin: str) -> dict[str, str]:
    """Start a session that ends when its visitor leaves. Return its id, its room, and a token for each purpose, which
    pages of this origin alone can use.
    """
    avatar = api.get("/v1/avatars/public").raise_for_status().json()["avatars"][0]["avatar_id"]
    looks = api.get("/v1/avatars", params={"parent_id": avatar, "characters_only": "false"}).raise_for_status().json()
    body = {"avatar": looks["avatars"][0]["avatar_id"], "aspect_ratio": "1:1"}
    created = api.post("/v1/sessions", json=body).raise_for_status().json()
    session_id = created["session"]["session_id"]
    tokens = {}
    for purpose in PURPOSES:
        wanted = {"purpose": purpose, "origins": [origin], "expires_in": 600}
        made = api.post(f"/v1/sessions/{session_id}/tokens", json=wanted).raise_for_status().json()
        tokens[purpose] = made["token"]["token"]
    return {"session": session_id, "room": created["room"]["url"], **tokens}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Serve a page with an avatar that speaks for a voice service.")
    parser.add_argument("--key", required=True)
    parser.add_argument("--base", default="http://127.0.0.1:8000")
    parser.add_argument("--port", type=int, default=3000, help="default: 3000; 0: any")
    return parser.parse_args()


if __name__ == "__main__":
    main()
