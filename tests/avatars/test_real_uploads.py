"""Photos through the whole server: the real preparation, in its process of its own."""

from __future__ import annotations

import io
from collections.abc import Callable

import httpx
import pytest
from PIL import Image

import visavis.library
from visavis.server import RunningServer


def png(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def upload(server: RunningServer, photo: bytes) -> httpx.Response:
    return httpx.post(
        server.base_url + "/v1/avatars/upload-face",
        files={"file": ("photo", photo)},
        headers={"x-api-key": server.api_key},
        timeout=60,
    )


def test_a_photo_becomes_an_avatar_that_performs(server: RunningServer) -> None:
    answer = upload(server, visavis.library.DEFAULT_PORTRAIT.path.read_bytes())
    assert answer.status_code == 201, answer.text
    preview = Image.open(io.BytesIO(httpx.get(answer.json()["preview_url"]).content))
    image = Image.open(io.BytesIO(httpx.get(answer.json()["image_url"]).content))
    assert (preview.format, preview.size) == ("JPEG", (500, 500))
    assert image.format == "JPEG" and image.width <= 1200
    headers = {"x-api-key": server.api_key}
    created = httpx.post(
        server.base_url + "/v1/sessions", json={"avatar_id": answer.json()["avatar_id"]}, headers=headers
    )
    url = f"{server.base_url}/v1/sessions/{created.json()['session']['session_id']}"
    ws_uri = "try_again"
    while ws_uri == "try_again":
        started = httpx.put(url + "/start", headers=headers, timeout=60)
        assert started.status_code == 200, started.text
        ws_uri = started.json()["ws_uri"]
    assert ws_uri.startswith("ws://127.0.0.1:")
    assert httpx.put(url + "/end", headers=headers).json()["session"]["status"] == "ended"


def portrait() -> Image.Image:
    picture = Image.open(visavis.library.DEFAULT_PORTRAIT.path).convert("RGB")
    picture.thumbnail((600, 600))
    return picture


def two_faces() -> bytes:
    face = portrait()
    pair = Image.new("RGB", (face.width * 2, face.height))
    pair.paste(face, (0, 0))
    pair.paste(face, (face.width, 0))
    return png(pair)


@pytest.mark.parametrize(
    ("photo", "statuses", "codes"),
    [
        pytest.param(lambda: b"this is no image", [415], ["IMAGE_TYPE"], id="text"),
        pytest.param(lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>", [415], ["IMAGE_TYPE"], id="svg"),
        pytest.param(lambda: png(portrait())[:5000], [400], ["IMAGE_UNREADABLE"], id="cut short"),
        pytest.param(lambda: png(Image.new("RGB", (400, 400), "grey")), [400], ["NO_FACE"], id="no face"),
        pytest.param(two_faces, [400], ["SEVERAL_FACES"], id="two faces"),
        pytest.param(
            lambda: png(Image.new("L", (12_000, 12_000))),
            [400, 413],
            ["IMAGE_UNREADABLE", "IMAGE_TOO_LARGE"],
            id="bomb",
        ),
    ],
)
def test_a_photo_that_cannot_be_an_avatar_is_refused_with_its_reason(
    server: RunningServer, photo: Callable[[], bytes], statuses: list[int], codes: list[str]
) -> None:
    answer = upload(server, photo())
    assert answer.status_code in statuses, answer.text
    assert answer.json()["error"]["code"] in codes
