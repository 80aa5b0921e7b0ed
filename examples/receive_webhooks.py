"""Receives webhooks and prints them: a whole receiver (docs/howto/webhooks.md).

python examples/receive_webhooks.py --port 3000 --secret whsec_…
"""

from __future__ import annotations

import argparse
import contextlib
from http.server import BaseHTTPRequestHandler, HTTPServer

from visavis_client.webhooks import SignatureInvalid, verify_webhook


def main() -> None:
    arguments = _arguments()
    seen: set[str] = set()  # ids of events: one can come twice

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))  # the raw bytes: they are signed
            try:
                event = verify_webhook(body, dict(self.headers), arguments.secret)
            except SignatureInvalid as error:
                print(f"refused: {error}", flush=True)
                self._answer(401)
                return
            self._answer(204)
            if event.id not in seen:
                seen.add(event.id)
                print(event.timestamp, event.type, event.data, flush=True)

        def _answer(self, status: int) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing: the events are printed."""

    server = HTTPServer(("127.0.0.1", arguments.port), Receiver)
    print(f"Receiving at http://127.0.0.1:{server.server_address[1]}/", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Print webhooks of Visavis.")
    parser.add_argument("--port", type=int, default=3000, help="default: 3000; 0: any")
    parser.add_argument("--secret", default="whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", help="the webhook's secret")
    return parser.parse_args()


if __name__ == "__main__":
    main()
