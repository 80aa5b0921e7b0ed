"""Viewers within a house, in the street before it, and with IPv6 alone all see the room; see house.py."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.browser import CHROMIUM
from tests.e2e.firefox import FIREFOX
from tests.e2e.house import BRIDGES, LATE, NAME, SECOND_STREET, SERVER, SERVER_V6, STREET, House, house
from tests.e2e.namespaces import Machine, why_unavailable
from visavis.demo.server_process import free_port

UNAVAILABLE = why_unavailable()
WITHIN_S = 60
WATCH_S = 1.0
PICTURES = 11  # that a browser shows: beside other tests, one of a second's 25 or another is late
COMPARED_S, LEAST_COMPARED, SAME_PICTURE_S = 3.0, 25, 0.01
JOINS, LONGER_MS = 5, 200
PORTS = "20300-20301"

pytestmark = pytest.mark.skipif(UNAVAILABLE is not None, reason=str(UNAVAILABLE))


class Served:
    """The house, the room in it, and the log of its server."""

    def __init__(self, built: House, room: dict[str, Any], port: int, folder: Path) -> None:
        self.house, self.room, self.port, self.folder = built, room, port, folder

    @property
    def log(self) -> list[dict[str, Any]]:
        lines = (self.folder / "log").read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    @property
    def media(self) -> list[dict[str, Any]]:
        """What the stages have logged about their ports."""
        return [line for line in self.log if line["event"] == "media_port_opened"]

    def watch(self, machine: Machine, host: str, room: dict[str, Any] | None = None) -> int:
        """Watch a room from a machine, by an address of the server; return how many pictures came."""
        out = self.folder / f"{machine.name}.mp4"
        room = room or self.room
        address = f"http://{host}:{self.port}/rooms/{room['name']}/whep"
        watch = ["visavis", "watch", "--whep", address, "--token", room["token"], "--seconds", str(WATCH_S)]
        done = subprocess.run(
            machine.command(sys.executable, "-m", *watch, "--out", str(out)),
            capture_output=True,
            text=True,
            timeout=WITHIN_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        pictures = re.search(r"(\d+) pictures", done.stdout)
        assert pictures is not None, done.stdout
        return int(pictures[1])

    def seen(
        self, viewers: Sequence[tuple[Machine, str]], *, seconds: float = 0.0, joins: int = 1
    ) -> list[dict[str, list[float]]]:
        """Let machines join the room at the same time, each by an address of the server; return what watching.py
        prints.
        """
        with ExitStack() as stack:
            running = [
                stack.enter_context(
                    subprocess.Popen(
                        machine.command(
                            *(sys.executable, "-m", "tests.e2e.watching"),
                            f"http://{host}:{self.port}/rooms/{self.room['name']}/whep",
                            *(self.room["token"], str(seconds), str(joins)),
                        ),
                        stdout=subprocess.PIPE,
                        text=True,
                    )
                )
                for machine, host in viewers
            ]
            for one in running:
                stack.callback(one.kill)  # before the process is waited for
            return [json.loads(one.communicate(timeout=2 * WITHIN_S)[0]) for one in running]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder, port = tmp_path_factory.mktemp("house"), free_port()
    with house() as built:
        server = subprocess.Popen(
            built.server.command(sys.executable, "-m", "tests.e2e.room_server", str(folder), str(port), "2"),
            env=os.environ | {"VISAVIS_VIEWER_ADDRESSES": json.dumps([NAME]), "VISAVIS_MEDIA_PORTS": PORTS},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert server.stdout is not None
            line = server.stdout.readline()
            assert line, (folder / "log").read_text()
            yield Served(built, json.loads(line), port, folder)
        finally:
            server.communicate(timeout=WITHIN_S)
        assert "Traceback" not in (folder / "log").read_text()


def test_container_bridges_are_left_out(served: Served) -> None:
    assert served.media
    for media in served.media:
        assert media["addresses"] == [SERVER, SERVER_V6], f"{BRIDGES} bridges are not among them"


def test_bridges_cost_no_socket_and_a_join_takes_at_most_200_ms_longer(served: Served) -> None:
    """The least of some joins counts: what the bridges cost, each join pays; what else this machine does, not each."""
    viewer = [(served.house.router, SERVER)]
    (among_bridges,) = served.seen(viewer, joins=JOINS)
    command = served.house.server.command("cat", "/proc/net/udp", "/proc/net/udp6")
    sockets = [line.split() for line in subprocess.check_output(command, text=True).splitlines() if ":" in line]
    ports = [int(words[1].rpartition(":")[2], 16) for words in sockets]
    served.house.remove_bridges()
    try:
        (without,) = served.seen(viewer, joins=JOINS)
    finally:
        served.house.add_bridges()
    print(f"joined among {BRIDGES} bridges: {among_bridges['joined_ms']}, without: {without['joined_ms']} ms")
    assert min(among_bridges["joined_ms"]) <= min(without["joined_ms"]) + LONGER_MS
    assert sorted(ports) == [20300, 20300, 20301, 20301], "each stage has one socket for IPv4 and one for IPv6"


def test_a_viewer_in_the_house_plays(served: Served) -> None:
    assert served.watch(served.house.router, SERVER) > 10


def test_a_viewer_with_ipv6_alone_plays(served: Served) -> None:
    assert served.watch(served.house.v6_alone, f"[{SERVER_V6}]") > 10
    assert served.room["url_v6"] == f"http://[::1]:{served.port}/rooms/{served.room['name']}"


@pytest.mark.parametrize(
    "browser",
    [
        pytest.param("chromium", marks=pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")),
        pytest.param("firefox", marks=pytest.mark.skipif(FIREFOX is None, reason="there is no Firefox here")),
    ],
)
def test_a_browser_with_ipv6_alone_plays_on_a_path_of_1280_bytes(served: Served, browser: str) -> None:
    """Longer packets disappear: the viewer's end of the cable drops them, and tells nobody."""
    viewer = served.house.v6_alone
    subprocess.run(["ip", "-n", viewer.name, "link", "set", "six", "mtu", "1280"], check=True)
    address = f"http://[{SERVER_V6}]:{served.port}/rooms/{served.room['name']}#t={served.room['token']}"
    done = subprocess.run(
        viewer.command(sys.executable, "-m", "tests.e2e.browser_viewer", browser, address, str(PICTURES)),
        capture_output=True,
        text=True,
        timeout=2 * WITHIN_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["connections"] == 1, seen
    assert seen["stats"]["lost"] == 0, seen


def test_viewers_of_each_stage_play_behind_as_many_forwarded_ports_as_there_are_stages(served: Served) -> None:
    assert {media["port"] for media in served.media} == {20300, 20301}
    with served.house.relay(STREET, [served.port, 20300, 20301]):
        for room in (served.room, *served.room["others"]):
            assert served.watch(served.house.outside, STREET, room) > 10


def test_a_viewer_in_the_street_plays_when_the_house_has_moved(served: Served) -> None:
    served.house.move_to(SECOND_STREET)
    with served.house.relay(SECOND_STREET, [served.port, 20300, 20301]):
        assert served.watch(served.house.outside, SECOND_STREET) > 10


def test_an_address_that_comes_later_is_used_by_the_next_viewer(served: Served) -> None:
    served.house.connect_late()
    assert served.watch(served.house.v6_alone, LATE) > 10


def test_viewers_play_over_paths_of_1280_bytes_that_drop_longer_packets_in_silence(served: Served) -> None:
    served.house.shorten_paths()
    assert served.house.arriving([1500, 1281, 1280, 100]) == [1280, 100]
    wide, *short = served.seen(
        [(served.house.server, SERVER), (served.house.router, SERVER), (served.house.v6_alone, f"[{SERVER_V6}]")],
        seconds=COMPARED_S,
    )
    for one in short:
        assert missing(one["picture_times_s"], wide["picture_times_s"]) == [], "the viewer beside the server saw these"


def missing(seen_s: list[float], due_s: list[float]) -> list[float]:
    """Return the times of the pictures that were due while both watched, and that one of them did not see. Both know
    the room's clock to a few milliseconds.
    """
    common = [one for one in due_s if max(seen_s[0], due_s[0]) <= one <= min(seen_s[-1], due_s[-1])]
    assert len(common) > LEAST_COMPARED, f"they watched {len(common)} pictures together"
    return [one for one in common if min(abs(one - other) for other in seen_s) > SAME_PICTURE_S]
