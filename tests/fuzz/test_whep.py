"""A real server and its stage under requests of WHEP that nobody sends in good faith: each gets its answer, the log
tells no exception, and memory does not grow.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.attacks.raw_websocket import Attacked, attacked_server
from tests.fuzz.offers import OFFER, fragments, offers
from tests.fuzz.scale import FULL, examples
from tests.fuzz.test_server import memory_mb
from visavis.errors import HTTP, declared_errors

FAULTS = ("INTERNAL_ERROR", "PERFORMER_LOST")
ALLOWED_MB = 30.0
SDP = {"content-type": "application/sdp"}
FRAGMENT = {"content-type": "application/trickle-ice-sdpfrag"}
OFFERED = "".join(f"{line}\r\n" for line in OFFER)
_VALUES = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=40)
HEADERS = st.dictionaries(
    st.sampled_from(["content-type", "if-match", "accept", "authorization", "content-encoding", "origin", "range"]),
    st.sampled_from([*SDP.values(), *FRAGMENT.values(), "application/sdp; charset=x", "*", '"x"', "gzip"]) | _VALUES,
    max_size=4,
)
BODIES = (
    offers().map(str.encode) | fragments().map(lambda text: text.encode(errors="replace")) | st.binary(max_size=200)
)
VIEWERS = st.sampled_from(["", "/", "/view_0", "/own", "/%00", "/..", "/view_" + "0" * 26, "/a/b"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    attacked: Attacked
    http: httpx.Client
    url: str  # of WHEP
    token: dict[str, str]
    viewer: str  # the id of a viewer that has joined
    tag: str


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    folder: Path = tmp_path_factory.mktemp("whep")
    with attacked_server(folder, VISAVIS_LOG_JSON="true", VISAVIS_ROOM_EMPTY_GRACE_S="36000") as opened:
        shown = opened.session["daily_room"]
        url = f"{shown['url']}/whep"
        with httpx.Client(timeout=60) as http:
            token = {"authorization": f"Bearer {shown['token']}"}
            joined = http.post(url, content=OFFERED, headers=token | SDP)
            assert joined.status_code == 201, joined.text
            viewer = joined.headers["location"].rpartition("/")[2]
            yield Room(attacked=opened, http=http, url=url, token=token, viewer=viewer, tag=joined.headers["etag"])
    levels = [json.loads(line)["level"] for line in (folder / "log").read_text().splitlines() if line.startswith("{")]
    assert levels and not {"error", "critical"} & set(levels), (folder / "log").read_text()[-5000:]


@examples(few=60, many=3_000)
@given(
    st.sampled_from(["POST", "PATCH", "DELETE", "GET", "OPTIONS", "PUT", "HEAD"]),
    VIEWERS,
    HEADERS,
    BODIES,
    st.booleans(),
)
def test_each_request_is_answered(
    room: Room, method: str, viewer: str, headers: dict[str, str], body: bytes, own: bool
) -> None:
    """`own`: with the room's token, and with the tag of the viewer's ICE session."""
    path = viewer.replace("own", room.viewer)
    known = room.token | {"if-match": room.tag} if own else {}
    answer = room.http.request(method, room.url + path, headers=headers | known, content=body)
    assert answer.status_code < 500 or answer.status_code == 501, (answer.status_code, answer.text)
    if answer.status_code >= 400 and method != "HEAD":
        told = answer.json()["error"]["code"]
        assert HTTP in declared_errors()[told].told_over and told not in FAULTS, answer.text


def test_memory_does_not_grow(room: Room) -> None:
    """Offers are refused, and viewers join, send candidates and leave, again and again."""

    def flood(count: int) -> None:
        for number in range(count):
            room.http.post(
                room.url, content=f"v=0\r\nm=video {number} x y\r\n" + "a=x\r\n" * 500, headers=SDP | room.token
            )
            joined = room.http.post(room.url, content=OFFERED, headers=SDP | room.token)
            if joined.status_code == 201:
                resource = f"{room.url}/{joined.headers['location'].rpartition('/')[2]}"
                more = "".join(f"a=candidate:1 1 udp 1 192.0.2.{k} {2000 + number} typ host\r\n" for k in range(100))
                tag = {"if-match": joined.headers["etag"]}
                room.http.patch(resource, content=more, headers=FRAGMENT | tag | room.token)
                room.http.delete(resource, headers=room.token)

    flood(10)
    before = memory_mb(room.attacked)
    flood(1_000 if FULL else 20)
    after = memory_mb(room.attacked)
    assert all(after[name] < before[name] + ALLOWED_MB for name in before), (before, after)
