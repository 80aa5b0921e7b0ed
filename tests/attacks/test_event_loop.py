"""Bodies and messages that hold the event loop: each gets its typed answer, and no other client waits for it.

The longest hold under each is printed (`pytest -s`), and asserted in `make attacks` alone: it is machine time.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import anyio
import anyio.lowlevel
import pytest

from tests.attacks.scale import FULL, SCALE
from tests.conftest import Service
from visavis.channel.client_message import parse_object
from visavis.channel.timings import read_timings
from visavis.errors import InvalidJson, InvalidPhonemes
from visavis.json_text import MESSAGE_BOUNDS

pytestmark = pytest.mark.anyio

LARGE = 1_400_000 * SCALE  # bytes of a body; in full 14 MB, below the bound on uploads
LONGEST_HOLD_MS = 400.0
PIECE_BYTES = 64 * 1024
JSON = "application/json"
MULTIPART = "multipart/form-data; boundary=x"
URLENCODED = "application/x-www-form-urlencoded"


def part(headers: str, data: str) -> str:
    return f"--x\r\n{headers}\r\n\r\n{data}\r\n--x--\r\n"


def named(name: str, data: str) -> str:
    return part(f'Content-Disposition: form-data; name="{name}"', data)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hostile:
    """A hostile upload and the answer that it gets."""

    body: Callable[[], str]
    content_type: str = JSON
    answer: tuple[int, str] = (400, "INVALID_JSON")
    headers: dict[str, str] = field(default_factory=dict)


BODIES: dict[str, Hostile] = {
    "lists": Hostile(body=lambda: '{"a":[' + "[]," * (LARGE // 3) + "0]}"),
    "numbers": Hostile(body=lambda: "[" + "0," * (LARGE // 2) + "0]"),
    "members": Hostile(body=lambda: '{"":0' + ',"":0' * (LARGE // 5) + "}"),
    "depth": Hostile(body=lambda: "[" * LARGE),
    "depth below the bound on values": Hostile(body=lambda: "[" * 16_000 + "]" * 16_000),
    "long integers": Hostile(body=lambda: "[" + ",".join(["9" * 4300] * (LARGE // 4301)) + "]"),
    "one long integer": Hostile(body=lambda: '{"a":' + "9" * LARGE + "}"),
    "one long float": Hostile(body=lambda: '{"a":0.' + "1" * LARGE + "}", answer=(400, "IMAGE_REQUIRED")),
    "lone surrogates": Hostile(body=lambda: '{"a":"' + "\\ud800" * (LARGE // 6) + '"}'),
    "escapes": Hostile(body=lambda: '{"a":"' + "\\n" * (LARGE // 2) + '"}', answer=(400, "IMAGE_REQUIRED")),
    "spaces": Hostile(body=lambda: " " * LARGE + "{", answer=(400, "INVALID_JSON")),
    "an unfinished text": Hostile(body=lambda: '{"a":"' + "x" * LARGE),
    "a charset of punycode": Hostile(
        body=lambda: named("image_base64", "a-" * (LARGE // 2)),
        content_type=MULTIPART + "; charset=punycode",
        answer=(415, "UNSUPPORTED_MEDIA_TYPE"),
    ),
    "points nested deeply": Hostile(
        body=lambda: "image_base64=eA&points=" + "[" * 100_000,
        content_type=URLENCODED,
        answer=(400, "INVALID_POINTS"),
    ),
    "points of many values": Hostile(
        body=lambda: part(
            'Content-Disposition: form-data; name="image_base64"',
            'eA==\r\n--x\r\nContent-Disposition: form-data; name="points"\r\n\r\n' + "[0]," * (LARGE // 4),
        ),
        content_type=MULTIPART,
        answer=(400, "INVALID_POINTS"),
    ),
    "many headers of a part": Hostile(
        body=lambda: part("a: b\r\n" * (LARGE // 6), "x"), content_type=MULTIPART, answer=(400, "INVALID_REQUEST")
    ),
    "a long header of a part": Hostile(
        body=lambda: part("Content-Disposition: form-data" + '; a="' * (LARGE // 5), "x"),
        content_type=MULTIPART,
        answer=(400, "INVALID_REQUEST"),
    ),
    "many parts": Hostile(
        body=lambda: '--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n' * (LARGE // 60) + "--x--",
        content_type=MULTIPART,
        answer=(400, "INVALID_REQUEST"),
    ),
    "near boundaries": Hostile(
        body=lambda: named("image_base64", "\r\n--!" * (LARGE // 5)),
        content_type=MULTIPART,
        answer=(400, "IMAGE_UNREADABLE"),
    ),
    "near boundaries, idempotent": Hostile(
        body=lambda: named("image_url", "\r\n-" * (LARGE // 3)),
        content_type=MULTIPART,
        headers={"Idempotency-Key": "near"},
        answer=(400, "IMAGE_URL_REFUSED"),
    ),
    "a boundary of one letter, idempotent": Hostile(
        body=lambda: "x" * LARGE,
        content_type=MULTIPART,
        headers={"Idempotency-Key": "letter"},
        answer=(400, "INVALID_REQUEST"),
    ),
    "escapes of a form": Hostile(
        body=lambda: "image_base64=" + "%21" * (LARGE // 3),
        content_type=URLENCODED,
        answer=(400, "INVALID_REQUEST") if FULL else (400, "IMAGE_UNREADABLE"),
    ),
    "many fields of a form": Hostile(
        body=lambda: "a&" * (LARGE // 2), content_type=URLENCODED, answer=(400, "INVALID_REQUEST")
    ),
    "a port that is none": Hostile(
        body=lambda: '{"image_url":"http://192.0.2.1:99999/"}', answer=(400, "IMAGE_URL_REFUSED")
    ),
}


class Holds:
    """Measures how long the loop is held: one task asks for its turn all the time."""

    longest_ms = 0.0

    async def measure(self) -> None:
        before_s = time.perf_counter()
        while True:
            await anyio.sleep(0.001)
            now_s = time.perf_counter()
            self.longest_ms = max(self.longest_ms, (now_s - before_s) * 1000)
            before_s = now_s


def told(name: str, held_ms: float) -> None:
    print(f"\n{name}: held for {held_ms:.0f} ms", end="")
    assert not FULL or held_ms < LONGEST_HOLD_MS, name


async def in_pieces(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), PIECE_BYTES):
        yield body[start : start + PIECE_BYTES]
        await anyio.lowlevel.checkpoint()


@pytest.mark.parametrize("name", BODIES)
async def test_an_upload_holds_nobody(service: Service, name: str) -> None:
    hostile = BODIES[name]
    body = hostile.body().encode()
    await service.client.post("/v1/avatars/upload-face", json={})  # what is imported at the first request
    holds = Holds()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(holds.measure)
        answer = await service.client.post(
            "/v1/avatars/upload-face",
            content=in_pieces(body),
            headers={"Content-Type": hostile.content_type} | hostile.headers,
        )
        await anyio.sleep(0.005)  # the measuring has its turn: the last hold too, which the answer came with
        tasks.cancel_scope.cancel()
    assert (answer.status_code, answer.json()["error"]["code"]) == hostile.answer, answer.text
    told(name, holds.longest_ms)


async def test_many_filters_are_refused(service: Service) -> None:
    query = "&".join(f"metadata.k{n}=1" for n in range(1200))
    answer = await service.client.get(f"/v1/sessions?{query}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "INVALID_REQUEST")
    same = "&".join("metadata.k=1" for n in range(1200))
    assert (await service.client.get(f"/v1/sessions?{same}")).status_code == 400


@pytest.mark.parametrize("name", [name for name, body in BODIES.items() if body.answer[1] == "INVALID_JSON"])
async def test_a_message_holds_nobody(name: str) -> None:
    text = BODIES[name].body()
    began_s = time.thread_time()
    if name == "lone surrogates":
        parse_object(text)  # an unknown member is ignored
    else:
        with pytest.raises(InvalidJson):
            parse_object(text)
    told(name, (time.thread_time() - began_s) * 1000)


async def test_the_most_timings_of_a_message_are_within_the_bounds() -> None:
    one = '{"symbol":"a","start_ms":0,"end_ms":0}'
    text = '{"phonemes":[' + ",".join([one] * 16_384) + "]}"
    assert text.count("{") <= MESSAGE_BOUNDS.containers and text.count(",") <= MESSAGE_BOUNDS.commas
    began_s = time.thread_time()
    assert read_timings(parse_object(text)["phonemes"], None, duration_ms=655_000.0) == ()
    with pytest.raises(InvalidPhonemes):
        read_timings(parse_object(text)["phonemes"], None, duration_ms=1000.0)
    told("timings", (time.thread_time() - began_s) * 1000 / 2)
