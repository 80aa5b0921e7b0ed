"""Put an avatar into a page of yours: a web server that starts a session for each visitor (docs/howto/browser.md).

python examples/serve_page.py --key ah_live_... [--base http://127.0.0.1:8000] [--port 3000]

Needs visavis-client. Your API key stays here: the page gets a token that opens its room alone, for ten minutes.
"""

from __future__ import annotations

import argparse
import contextlib
import html
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
from visavis_client import Visavis

PAGE = """<!doctype html>
<title>Our assistant</title>
<script src="{base}/alpha.js"></script>
<visavis-avatar room="{room}#t={token}" style="width: 480px; height: 480px"></visavis-avatar>
"""


def main() -> None:
    arguments = _arguments()
    origin = f"http://127.0.0.1:{arguments.port}"

    class Site(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path != "/":
                self.send_error(404)
                return
            room, token = start_session(arguments.base, arguments.key, origin=self._origin())
            page = PAGE.format(base=html.escape(arguments.base), room=html.escape(room), token=token).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(page)))
            self.send_header("Cache-Control", "no-store")  # it has a token
            self.end_headers()
            self.wfile.write(page)

        def _origin(self) -> str:
            return f"http://{self.headers.get('Host', origin.removeprefix('http://'))}"

        def log_message(self, *_: object) -> None:
            """Say nothing: a request may have a token."""

    server = ThreadingHTTPServer(("127.0.0.1", arguments.port), Site)
    print(f"Open http://127.0.0.1:{server.server_address[1]}/", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()


def start_session(base: str, key: str, *, origin: str) -> tuple[str, str]:
    """Start a session that ends when its visitor leaves. Return its room and a token that opens the room to pages of
    this origin alone.
    """
    with Visavis(base, key) as client:
        avatar = client.avatars.public()[0]
    with httpx.Client(base_url=base, headers={"x-api-key": key}, timeout=30) as api:
        body = {"avatar": avatar.id, "output": {"background": {"type": "transparent"}}}
        created = api.post("/v1/sessions", json=body).raise_for_status().json()
        session_id = created["session"]["session_id"]
        wanted = {"purpose": "watch", "origins": [origin], "expires_in": 600}
        made = api.post(f"/v1/sessions/{session_id}/tokens", json=wanted).raise_for_status().json()
    return created["room"]["url"], made["token"]["token"]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Serve a page with an avatar.")
    parser.add_argument("--key", required=True)
    parser.add_argument("--base", default="http://127.0.0.1:8000")
    parser.add_argument("--port", type=int, default=3000, help="default: 3000; 0: any")
    return parser.parse_args()


if __name__ == "__main__":
    main()
