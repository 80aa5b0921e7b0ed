"""Photos through the whole server: the real preparation, in its process of its own."""

from __future__ import annotations

import io
from typing import Any

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


def refused_photos() -> list[Any]:
    portrait = Image.open(visavis.library.DEFAULT_PORTRAIT.path).convert("RGB")
    portrait.thumbnail((600, 600))
    pair = Image.new("RGB", (portrait.width * 2, portrait.height))
    pair.paste(portrait, (0, 0))
    pair.paste(portrait, (portrait.width, 0))
    return [
        pytest.param(b"this is no image", 415, "IMAGE_TYPE", id="text"),
        pytest.param(b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415, "IMAGE_TYPE", id="svg"),
        pytest.param(png(portrait)[:5000], 400, "IMAGE_UNREADABLE", id="cut short"),
        pytest.param(png(Image.new("RGB", (400, 400), "grey")), 400, "NO_FACE", id="no face"),
        pytest.param(png(pair), 400, "SEVERAL_FACES", id="two faces"),
        pytest.param(
            png(Image.new("L", (12_000, 12_000))), (400, 413), ("IMAGE_UNREADABLE", "IMAGE_TOO_LARGE"), id="bomb"
        ),
    ]


@pytest.mark.parametrize(("photo", "status", "code"), refused_photos())
def test_a_photo_that_cannot_be_an_avatar_is_refused_with_its_reason(
    server: RunningServer, photo: bytes, status: Any, code: Any
) -> None:
    answer = upload(server, photo)
    assert answer.status_code in (status if isinstance(status, tuple) else (status,)), answer.text
    assert answer.json()["error"]["code"] in (code if isinstance(code, tuple) else (code,))
