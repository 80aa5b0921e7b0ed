"""Bodies and messages that hold the event loop: each gets its typed answer, and no other client waits for it.

The longest hold under each is printed (`pytest -s`), and asserted in `make attacks` alone: it is machine time.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import anyio
import anyio.lowlevel
import pytest

from tests.attacks.hostile_bodies import BODIES
from tests.attacks.scale import FULL
from tests.conftest import Service
from visavis.channel.client_message import parse_object
from visavis.channel.timings import read_timings
from visavis.errors import InvalidJson, InvalidPhonemes
from visavis.json_text import MESSAGE_BOUNDS

pytestmark = pytest.mark.anyio

LONGEST_HOLD_MS = 200.0
PIECE_BYTES = 64 * 1024


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
    if name == "lone surrogates" and not FULL:
        parse_object(text)  # an unknown member is ignored; in full there are too many escapes
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
