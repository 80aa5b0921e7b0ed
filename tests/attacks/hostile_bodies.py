"""Bodies that hold an event loop which parses them carelessly, with the answer that each upload of them gets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tests.attacks.scale import FULL, SCALE

LARGE = 1_400_000 * SCALE  # bytes of a body; in full 14 MB, below the bound on uploads
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
    "escapes": Hostile(body=lambda: '{"a":"' + "\\n" * (LARGE // 2) + '"}'),
    "spaces": Hostile(body=lambda: " " * LARGE + "{", answer=(400, "INVALID_JSON")),
    "spaces behind": Hostile(body=lambda: "{}" + " " * LARGE, answer=(400, "IMAGE_REQUIRED")),
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
    "base64 that is none": Hostile(
        body=lambda: '{"image_base64":"' + "!" * LARGE + '"}', answer=(400, "IMAGE_UNREADABLE")
    ),
    "base64 of single letters": Hostile(
        body=lambda: '{"image_base64":"' + "a " * (LARGE // 2) + '!"}', answer=(400, "IMAGE_UNREADABLE")
    ),
    "base64 that ends wrongly": Hostile(
        body=lambda: '{"image_base64":"' + "a" * LARGE + '!"}', answer=(400, "IMAGE_UNREADABLE")
    ),
    "base64 of other letters": Hostile(
        body=lambda: '{"image_base64":"' + "é" * (LARGE // 2) + '"}', answer=(400, "IMAGE_UNREADABLE")
    ),
    "base64 of escaped letters": Hostile(
        body=lambda: '{"image_base64":"' + "\\u0061" * (LARGE // 6) + '"}',
        answer=(400, "INVALID_JSON") if FULL else (400, "IMAGE_UNREADABLE"),
    ),
    "a data: address without an end": Hostile(
        body=lambda: '{"image_base64":"data:' + ";a=b" * (LARGE // 4) + '"}', answer=(400, "IMAGE_UNREADABLE")
    ),
    "an address without an end": Hostile(
        body=lambda: '{"image_url":"http://' + "é." * (LARGE // 3) + '"}', answer=(400, "IMAGE_URL_REFUSED")
    ),
    "an address of other letters": Hostile(
        body=lambda: '{"image_url":"' + "İ" * (LARGE // 2) + '"}', answer=(400, "IMAGE_URL_REFUSED")
    ),
    "a name without an end": Hostile(
        body=lambda: '{"image_base64":"eA==","name":"' + "\u202e" * (LARGE // 3) + '"}', answer=(400, "INVALID_REQUEST")
    ),
    "points without an end": Hostile(
        body=lambda: '{"image_base64":"eA==","points":"' + " " * LARGE + '"}', answer=(400, "INVALID_POINTS")
    ),
    "a file of near boundaries": Hostile(
        body=lambda: part('Content-Disposition: form-data; name="photo"; filename="a"', "\r\n--!" * (LARGE // 5)),
        content_type=MULTIPART,
        answer=(400, "IMAGE_REQUIRED"),
    ),
    "line breaks before the form": Hostile(
        body=lambda: "\r\n" * (LARGE // 2), content_type=MULTIPART, answer=(400, "IMAGE_REQUIRED")
    ),
    "line breaks behind the form": Hostile(
        body=lambda: "--x--" + "\r\n" * (LARGE // 2), content_type=MULTIPART, answer=(400, "IMAGE_REQUIRED")
    ),
    "a content type without an end": Hostile(
        body=lambda: "x", content_type=MULTIPART + '; a="' + ';"' * 15_000, answer=(415, "UNSUPPORTED_MEDIA_TYPE")
    ),
    "a content type without an end, idempotent": Hostile(
        body=lambda: "x",
        content_type=MULTIPART + '; a="' + ';"' * 15_000,
        headers={"Idempotency-Key": "type"},
        answer=(415, "UNSUPPORTED_MEDIA_TYPE"),
    ),
    "plus signs of a form": Hostile(
        body=lambda: "image_base64=" + "+" * LARGE + "!", content_type=URLENCODED, answer=(400, "IMAGE_UNREADABLE")
    ),
    "a port that is none": Hostile(
        body=lambda: '{"image_url":"http://192.0.2.1:99999/"}', answer=(400, "IMAGE_URL_REFUSED")
    ),
}
