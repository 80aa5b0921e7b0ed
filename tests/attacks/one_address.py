"""A flood without a key, and calls with one, from one address: `python -m tests.attacks.one_address BASE KEY COUNT`.
Prints the statuses as JSON: of the calls with the key, and of those without one.
"""

from __future__ import annotations

import json
import socket
import sys
from urllib.parse import urlsplit

import httpx

CALLS = 20


def main(base: str, key: str, count: int) -> None:
    place = urlsplit(base)
    assert place.hostname is not None and place.port is not None
    headers = {"x-api-key": key}
    with httpx.Client(base_url=base, headers=headers, timeout=20) as kept:
        answered = [kept.get("/v1/sessions").status_code]
        silent = []
        for _ in range(count):
            silent.append(socket.create_connection((place.hostname, place.port), timeout=10))
            silent[-1].sendall(b"GET /v1/sessions HTTP/1.1\r\nHost: h\r\nX-Half: ")
        refused = [httpx.get(f"{base}/v1/sessions", headers={"x-api-key": "wrong"}).status_code for _ in range(count)]
        answered += [httpx.get(f"{base}/v1/sessions", headers=headers, timeout=20).status_code for _ in range(CALLS)]
        answered.append(kept.get("/v1/sessions").status_code)
        for attacker in silent:
            attacker.close()
    print(json.dumps({"with key": answered, "without": sorted(set(refused))}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
