"""What scripts/check-service runs in a Debian with systemd, as root: enables, reloads, crashes and stops the unit."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import httpx

WITHIN_S = 60.0
FILM_WITHIN_S = 220.0
UNIT = "visavis.service"


def systemctl(*arguments: str) -> str:
    done = subprocess.run(["systemctl", *arguments], check=False, capture_output=True, text=True, timeout=FILM_WITHIN_S)
    if done.returncode:
        log = subprocess.run(["journalctl", "-u", "visavis*", "-n", "40"], check=False, capture_output=True, text=True)
        raise SystemExit(f"systemctl {' '.join(arguments)}: {done.stderr}\n{log.stdout}")
    return done.stdout.strip()


def shown(name: str) -> str:
    return systemctl("show", "--value", "--property", name, UNIT)


def wait_for(what: str, is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not is_so():
        if time.monotonic() > deadline:
            print(systemctl("status", "--no-pager", "--lines=40", UNIT))
            raise SystemExit(f"service: {what}: not within {WITHIN_S:.0f} s")
        time.sleep(0.1)


def processes() -> dict[int, str]:
    """Return the processes of the unit with their command lines."""
    group = shown("ControlGroup")  # none when all have ended
    pids = [int(line) for line in Path(f"/sys/fs/cgroup{group}/cgroup.procs").read_text().split()] if group else []
    return {pid: Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ") for pid in pids}


def stages() -> set[int]:
    return {pid for pid, line in processes().items() if "visavis.stage" in line}


def is_ready(client: httpx.Client) -> bool:
    try:
        return client.get("/readyz").is_success
    except httpx.TransportError:
        return False


def main() -> None:
    systemctl("daemon-reload")
    systemctl("start", "visavis-film.service")
    print("service: a session with a viewer has made its film", flush=True)
    systemctl("enable", "--now", UNIT)
    client = httpx.Client(base_url="http://127.0.0.1:8000", timeout=WITHIN_S)
    wait_for("ready", lambda: is_ready(client))
    command = "setpriv --reuid=visavis --regid=visavis --clear-groups /opt/visavis/bin/visavis keys create --name check"
    made = subprocess.run(
        command.split(),
        env=os.environ | dict(line.split("=", 1) for line in Path("/etc/visavis/visavis.env").read_text().splitlines()),
        capture_output=True,
        text=True,
        check=True,
    )
    client.headers["x-api-key"] = made.stdout.strip()
    look = client.get("/v1/avatars?view=flat").raise_for_status().json()["public_avatars"][0]["avatar_id"]
    asked = {"avatar_id": look, "options": {"join_timeout": 3600}}
    session = client.post("/v1/sessions", json=asked).raise_for_status().json()["session"]["session_id"]

    def is_started() -> bool:
        answer = client.post(f"/v1/sessions/{session}/start").raise_for_status()
        return bool(answer.json()["ws_uri"] != "try_again")

    wait_for("started", is_started)
    performing = stages()
    assert performing, processes()

    def status() -> str:
        return str(client.get(f"/v1/sessions/{session}").raise_for_status().json()["session"]["status"])

    for name, act in {
        "reload": lambda _pid: systemctl("reload", UNIT),
        "crash": lambda pid: os.kill(pid, signal.SIGKILL),
    }.items():
        before = int(shown("MainPID"))
        act(before)
        wait_for(f"another server after a {name}", lambda old=before: int(shown("MainPID")) not in (0, old))
        wait_for("ready", lambda: is_ready(client))
        assert status() == "started", (name, status())
        assert performing <= stages(), (name, processes())
        print(f"service: after a {name} the session goes on in the same stage", flush=True)

    began = time.monotonic()
    systemctl("stop", UNIT)
    print(f"service: stopped in {time.monotonic() - began:.1f} s")
    assert (shown("Result"), shown("ActiveState")) == ("success", "inactive"), systemctl("show", UNIT)
    wait_for("no process is left", lambda: not processes())
    assert not [pid for pid in performing if Path(f"/proc/{pid}").exists()]
    print("service: a stop ends server and stages")


if __name__ == "__main__":
    main()
