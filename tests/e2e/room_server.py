"""`python -m tests.e2e.room_server FOLDER PORT [STAGES]`: a server at all addresses, with a started session on each of
its stages, of which it has one unless told otherwise.

Prints one JSON object with the first room's name and token, and likewise `others`. Waits for the end of its input.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import httpx

from tests.attacks.raw_websocket import start_session
from visavis.demo.server_process import ServerProcess


def main(folder: Path, port: int, stages: int) -> None:
    settings = {
        "VISAVIS_STAGES": str(stages),
        "VISAVIS_SESSIONS_PER_STAGE": "1",
        "VISAVIS_ADMISSION": "counted",
        "VISAVIS_JOIN_TIMEOUT_S": "600",
        "VISAVIS_ROOM_EMPTY_GRACE_S": "600",
        "VISAVIS_LOG_JSON": "true",
    }
    with ServerProcess(host="::", port=port, data_dir=folder / "data", log=folder / "log", settings=settings) as server:
        server.wait_ready()
        headers = {"x-api-key": server.create_key("tests")}
        with httpx.Client(base_url=server.base_url, headers=headers, timeout=60) as http:
            session, *others = [start_session(http) for _ in range(stages)]
            shown = httpx.get(f"http://[::1]:{port}/v1/sessions/{session['session_id']}", headers=headers).json()
        told = {"url_v6": shown["session"]["daily_room"]["url"], "others": [other["daily_room"] for other in others]}
        print(json.dumps(session["daily_room"] | told), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 1)
