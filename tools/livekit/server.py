"""A real LiveKit server of loopback. `python -m tools.livekit.server` builds it once, from its Go module."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import jwt

from tools.go_program import GoProgram

PROGRAM = GoProgram("github.com/livekit/livekit-server/cmd/server", "v1.13.5", "livekit-server")
READY_WITHIN_S = 30.0
KEY, SECRET = "testkey", "a-secret-of-the-tests-that-is-long-enough"


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveKitServer:
    """`url`: of its signalling. `http_url`: of its API. `udp_port`: for media. `restart` kills it and starts another
    one at the same ports.
    """

    url: str
    http_url: str
    udp_port: int
    restart: Callable[[], None]

    def token(self, room: str, identity: str, *grants: str, kind: str = "standard", **attributes: str) -> str:
        """Return a token that lets a participant join a room. `grants`: further ones, such as canUpdateOwnMetadata."""
        return self.token_for(3600, room, identity, *grants, kind=kind, attributes=attributes)

    def token_for(
        self, seconds: float, room: str, identity: str, *grants: str, kind: str, attributes: Mapping[str, str]
    ) -> str:
        """Return a token that is valid for so many seconds from now on; the server takes it for a minute longer."""
        claims = {
            "iss": KEY,
            "sub": identity,
            "nbf": int(time.time()) - 120,
            "exp": int(time.time() + seconds),
            "kind": kind,
            "attributes": dict(attributes),
            "video": {
                "roomJoin": True,
                "room": room,
                "canPublish": True,
                "canSubscribe": True,
                "canPublishData": True,
                **dict.fromkeys(grants, True),
            },
        }
        return jwt.encode(claims, SECRET, algorithm="HS256")

    async def call(self, method: str, **body: object) -> dict[str, object]:
        """Call the room service (Twirp): `DeleteRoom`, `RemoveParticipant`, `ListParticipants`."""
        grants = {"roomCreate": True, "roomList": True, "roomAdmin": True, "room": body.get("room", "")}
        claims = {"iss": KEY, "exp": int(time.time()) + 60, "video": grants}
        headers = {"authorization": f"Bearer {jwt.encode(claims, SECRET, algorithm='HS256')}"}
        async with httpx.AsyncClient() as client:
            answer = await client.post(
                f"{self.http_url}/twirp/livekit.RoomService/{method}", json=body, headers=headers
            )
        answer.raise_for_status()
        document: dict[str, object] = answer.json()
        return document


def _free_port(kind: socket.SocketKind) -> int:
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
    return port


@contextmanager
def running(folder: Path, *, udp: bool = True, rtc: str = "", more: str = "") -> Iterator[LiveKitServer]:
    """Run a server on free ports of loopback. `udp`: whether it takes media by UDP, or by ICE over TCP alone. `rtc`,
    `more`: further lines of its configuration (YAML), below `rtc` and at the top.

    It listens on 127.0.0.1 alone: it names every address of this machine so (`node_ip`), and with another one it would
    take checks at whichever it happens to list first.
    """
    port, tcp_port = _free_port(socket.SOCK_STREAM), _free_port(socket.SOCK_STREAM)
    udp_port = _free_port(socket.SOCK_DGRAM)
    config = folder / "livekit.yaml"
    config.write_text(
        f"port: {port}\nbind_addresses: ['127.0.0.1']\nkeys:\n  {KEY}: {SECRET}\n"
        f"rtc:\n  node_ip: 127.0.0.1\n  use_external_ip: false\n  tcp_port: {tcp_port}\n  udp_port: {udp_port}\n"
        f"  force_tcp: {'false' if udp else 'true'}\n"
        f"  enable_loopback_candidate: true\n  ips:\n    includes: [127.0.0.1/32]\n{rtc}logging:\n  level: info\n{more}"
    )
    processes: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        with (folder / "livekit.log").open("ab") as log:
            processes.append(subprocess.Popen([str(PROGRAM.path), "--config", str(config)], stdout=log, stderr=log))
        deadline_s = time.monotonic() + READY_WITHIN_S
        while True:
            try:
                if httpx.get(f"http://127.0.0.1:{port}/").status_code == 200:
                    return
            except httpx.TransportError:
                pass
            if processes[-1].poll() is not None or time.monotonic() > deadline_s:
                raise RuntimeError((folder / "livekit.log").read_text()[-2000:])
            time.sleep(0.1)  # polls another process; no test asserts how long this takes

    def kill() -> None:
        for process in processes:
            process.kill()  # it would wait for those who are still in a room
            process.wait()

    def restart() -> None:
        kill()
        start()

    try:
        start()
        address = f"127.0.0.1:{port}"
        yield LiveKitServer(url=f"ws://{address}", http_url=f"http://{address}", udp_port=udp_port, restart=restart)
    finally:
        kill()


if __name__ == "__main__":
    PROGRAM.build()
