"""A WHEP player that watches on: where no picture comes for a while it joins again, as a player with a watchdog does.

A program for the system's Python, as gstreamer_viewer.py is. Arguments: the room's WHEP address and its token. It
prints JSON lines until it is ended: `{"pictures": 25}` about once a second, how many it has decoded so far, and
`{"gap_s": 1.2}` where the time between two pictures was long.
"""

from __future__ import annotations

import sys
import threading
import time
from typing import Any

from gstreamer_viewer import GLib, Viewer, say  # type: ignore[import-not-found]

STALL_S = 0.7  # without a picture: then it joins again
LONG_GAP_S = 0.3
ANSWER_WITHIN_S = 5.0  # an offer to a session that moves to another stage waits for it
JOIN_WITHIN_S = 2.0  # from the answer to the first picture
RETRY_S = 0.1
CHECK_MS = 50


class Pictures:
    """All that were decoded, over all joins."""

    def __init__(self) -> None:
        self.count = 0
        self.last_s = 0.0
        self._told_s = 0.0

    def came(self) -> None:
        now_s = time.monotonic()
        if self.count and now_s - self.last_s >= LONG_GAP_S:
            say(gap_s=now_s - self.last_s)
        self.count, self.last_s = self.count + 1, now_s
        if now_s - self._told_s >= 1.0:
            self._told_s = now_s
            say(pictures=self.count)


class Join(Viewer):  # type: ignore[misc]
    """One connection, until its pictures stop. Requests run in threads: webrtcbin waits for its own when it closes, so
    a request in one of them would hold up the next join.
    """

    timeout_ms = 3_600_000

    def __init__(self, whep_url: str, token: str, pictures: Pictures) -> None:
        super().__init__(whep_url, token, ["video"])
        self._pictures, self._is_over = pictures, False
        self._since_s, self._within_s = time.monotonic(), ANSWER_WITHIN_S
        GLib.timeout_add(CHECK_MS, self._check)

    def _check(self) -> bool:
        if self._is_over:
            return False
        if time.monotonic() - self._since_s < self._within_s:
            return True
        self._resource = ""  # the server knows by itself, and may be away
        self._loop.quit()
        return False

    def watch(self) -> None:
        try:
            super().watch()
        finally:
            self._is_over = True

    def _exchange(self, offer: str) -> None:
        def post() -> None:
            GLib.idle_add(self._answered, *self._ask("POST", self._whep_url, offer.encode()))

        threading.Thread(target=post, daemon=True).start()

    def _answered(self, status: int, answer: str, resource: str) -> None:
        if not self._is_over:
            self._since_s, self._within_s = time.monotonic(), JOIN_WITHIN_S
            super()._answered(status, answer, resource)
        elif resource:  # it has joined again meanwhile
            threading.Thread(target=self._ask, args=("DELETE", resource), daemon=True).start()

    def _picture_came(self, _: Any, __: Any, ___: Any) -> None:
        self._pictures.came()
        self._since_s, self._within_s = self._pictures.last_s, STALL_S

    def _ask(self, method: str, url: str, body: bytes | None = None) -> tuple[int, str, str]:
        try:
            status, text, resource = super()._ask(method, url, body)
        except OSError as error:  # nobody listens
            return 0, str(error), ""
        return status, text, resource


shown = Pictures()
while True:
    Join(sys.argv[1], sys.argv[2], shown).watch()
    time.sleep(RETRY_S)
