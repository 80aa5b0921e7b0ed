"""Photos that are made to take memory and time, from several clients at once, in a container with little memory.

A live session goes on meanwhile, and so do those who send honest photos.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.attacks.memory_group import MemoryGroup, memory_group
from tests.attacks.scale import FULL
from tests.processes import children
from tests.used_folder import create_key, used_before
from visavis.demo.server_process import ServerProcess
from visavis.engine.images.jpeg import START_OF_SCAN, jpeg_segments
from visavis.library import DEFAULT_PORTRAIT

MEMORY_BYTES = 2 << 30
PHOTOS = 20 if FULL else 3
KEYS = 3
SIDE_PX = 8900  # squared, that is just less than the 80 million pixels that are taken


def webp() -> bytes:
    """One colour, without loss: 38 bytes for any size. Decoding takes 1.2 GB."""
    file = io.BytesIO()
    Image.new("RGB", (64, 64), (120, 135, 150)).save(file, "WEBP", lossless=True, quality=0, method=0)
    image = bytearray(file.getvalue())
    size = (SIDE_PX - 1) | (SIDE_PX - 1) << 14
    bits = int.from_bytes(image[21:25], "little") & ~0xFFFFFFF | size
    image[21:25] = bits.to_bytes(4, "little")
    return bytes(image)


def png() -> bytes:
    """Sixteen bits of grey, all of one value. Decoding takes 1.1 GB."""
    squeeze = zlib.compressobj(9)
    row = bytes(1 + 2 * SIDE_PX)
    data = b"".join(squeeze.compress(row) for _ in range(SIDE_PX)) + squeeze.flush()

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", SIDE_PX, SIDE_PX, 16, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def jpeg() -> bytes:
    """Progressive, with its last scan 3,000 times."""
    file = io.BytesIO()
    Image.new("RGB", (2000, 2000), (120, 135, 150)).save(file, "JPEG", progressive=True)
    image = file.getvalue()
    last = [segment for segment in jpeg_segments(image) if segment.marker == START_OF_SCAN][-1]
    return image[: last.end] + image[last.start : last.end] * 3000 + image[last.end :]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attacked:
    server: ServerProcess
    keys: list[str]
    group: MemoryGroup
    session: dict[str, Any]

    def upload(self, photo: bytes, key: str) -> httpx.Response:
        return httpx.post(
            f"{self.server.base_url}/v1/avatars/upload-face",
            files={"file": ("photo", photo)},
            headers={"x-api-key": key},
            timeout=180,
        )

    def session_status(self) -> str:
        url = f"{self.server.base_url}/v1/sessions/{self.session['session_id']}"
        status: str = httpx.get(url, headers={"x-api-key": self.keys[0]}).json()["session"]["status"]
        return status


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    """A server in a group of 2 GB, with a started session and a place for each key."""
    folder = tmp_path_factory.mktemp("photos")
    settings = {
        "VISAVIS_RATE_LIMIT_PER_MINUTE": "100000",
        "VISAVIS_JOIN_TIMEOUT_S": "3600",
        "VISAVIS_STAGES": "1",
        "VISAVIS_PREPARATIONS": str(KEYS + 1),
        "VISAVIS_PREPARATIONS_WAITING": "20",
    }
    with memory_group(MEMORY_BYTES) as group:
        log = folder / "log"
        with ServerProcess(
            data_dir=used_before(folder / "data"), log=log, settings=settings, prefix=group.prefix
        ) as server:
            server.wait_ready()
            keys = [create_key(folder / "data", f"tests {number}") for number in range(KEYS)]
            with httpx.Client(base_url=server.base_url, headers={"x-api-key": keys[0]}, timeout=60) as http:
                character = http.get("/v1/avatars/public").json()["avatars"][0]["avatar_id"]
                looks = http.get("/v1/avatars", params={"parent_id": character, "characters_only": "false"}).json()
                body = {"avatar_id": looks["avatars"][0]["avatar_id"]}
                session = http.post("/v1/sessions", json=body).json()["session"]
                while http.put(f"/v1/sessions/{session['session_id']}/start").json()["ws_uri"] == "try_again":
                    pass
            yield Attacked(server=server, keys=keys, group=group, session=session)
        assert "Traceback" not in log.read_text(), log.read_text()[:5000]


HOSTILE = {"a WebP of 38 bytes": webp, "a JPEG with 3,000 scans": jpeg} | ({"a PNG of 16 bits": png} if FULL else {})


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_photos_end_no_session(attacked: Attacked, kind: str) -> None:
    photo = HOSTILE[kind]()
    assert len(photo) < 1_000_000
    stages = children(attacked.server.pid, "visavis.stage")
    with ThreadPoolExecutor(PHOTOS) as clients:
        sent = [clients.submit(attacked.upload, photo, attacked.keys[number % KEYS]) for number in range(PHOTOS)]
        answers = [answer.result() for answer in sent]
    assert {answer.status_code for answer in answers} <= {400, 413, 503}, [answer.text for answer in answers]
    assert all(answer.json()["error"]["code"] == "NO_CAPACITY" for answer in answers if answer.status_code == 503)
    assert attacked.group.killed == 0
    assert children(attacked.server.pid, "visavis.stage") == stages != []
    assert attacked.session_status() == "started"


def test_an_honest_photo_is_prepared_while_another_key_sends_hostile_ones(attacked: Attacked) -> None:
    hostile, honest = webp(), DEFAULT_PORTRAIT.path.read_bytes()
    with ThreadPoolExecutor(PHOTOS) as clients:
        sent = [clients.submit(attacked.upload, hostile, attacked.keys[0]) for _ in range(PHOTOS)]
        answer = attacked.upload(honest, attacked.keys[1])
        assert answer.status_code == 201, answer.text
        for each in sent:
            each.result()
    assert attacked.group.killed == 0


def test_the_memory_comes_back(attacked: Attacked) -> None:
    assert attacked.upload(DEFAULT_PORTRAIT.path.read_bytes(), attacked.keys[0]).status_code == 201
    assert not children(attacked.server.pid, "visavis.engine.images.worker")
