"""`visavis webhooks listen`: fetches signed events from a server, and posts them to a program on this machine."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import httpx

from visavis.errors import ListeningFailed

ASKS_EVERY_S = 2.0  # at most: a key may send 60 requests a minute
PAUSE_S = 2.0  # after a failure
ANSWERS_WITHIN_S = 60.0  # a server answers within 20 s, though nothing happens
FORWARDS_WITHIN_S = 30.0


def listen(
    *,
    base: str,
    key: str,
    forward_to: str,
    events: Sequence[str],
    goes_on: Callable[[], bool] = lambda: True,
) -> None:
    """Forward events until interrupted, or until `goes_on` says no. Raises `ListeningFailed` if the server refuses."""
    with httpx.Client(base_url=base.rstrip("/"), headers={"x-api-key": key}, timeout=ANSWERS_WITHIN_S) as server:
        made = _ask(server, "POST", "/v1/webhooks/listen", {"events": list(events)} if events else {})
        if made is None:
            raise ListeningFailed(f"The server at {base} cannot be reached")
        print(f"The signing secret is {made['secret']}", flush=True)
        print(f"Forwarding events to {forward_to}", flush=True)
        address = f"/v1/webhooks/listen/{made['listener_id']}"
        try:
            _forward_all(server, address, forward_to, goes_on)
        except KeyboardInterrupt:
            pass
        finally:
            with suppress(httpx.HTTPError):
                server.delete(address)


def _forward_all(server: httpx.Client, address: str, forward_to: str, goes_on: Callable[[], bool]) -> None:
    while goes_on():
        asked_s = time.monotonic()
        answer = _ask(server, "POST", address, {})
        if answer is None:
            time.sleep(PAUSE_S)
            continue
        for event in answer["events"]:
            print(f"{_named(event)}  {_forward(event, forward_to)}", flush=True)
        time.sleep(max(0.0, asked_s + ASKS_EVERY_S - time.monotonic()))


def _ask(server: httpx.Client, method: str, address: str, body: dict[str, Any]) -> dict[str, Any] | None:
    """Return the server's answer; None if it cannot be reached or asks for patience. Raises `ListeningFailed`."""
    try:
        answer = server.request(method, address, json=body)
    except httpx.HTTPError:
        return None
    if answer.status_code == 429 or answer.status_code >= 500:
        time.sleep(min(60.0, float(answer.headers.get("retry-after", 0))))
        return None
    if answer.status_code >= 400:
        refused = answer.json().get("error")
        raise ListeningFailed(
            f"The server refuses: {refused if isinstance(refused, str) else refused.get('message')}",
            suggestion="Give a key with --key or VISAVIS_KEY" if answer.status_code == 401 else None,
        )
    found: dict[str, Any] = answer.json()
    return found


def _forward(event: dict[str, Any], forward_to: str) -> str:
    """Post an event; return what came of it, as a word."""
    headers = {"Content-Type": "application/json", **event["headers"]}
    try:
        with httpx.Client(timeout=FORWARDS_WITHIN_S, trust_env=False) as program:
            return str(program.post(forward_to, content=event["body"].encode(), headers=headers).status_code)
    except httpx.HTTPError as error:
        return f"failed: {error}"


def _named(event: dict[str, Any]) -> str:
    told = json.loads(event["body"])
    data = told["data"]
    number = f" #{data['number']}" if "number" in data else ""
    return f"{told['type']:28}{data.get('session_id') or data.get('avatar_id') or ''}{number}"
