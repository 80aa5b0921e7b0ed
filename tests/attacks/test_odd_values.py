"""Values that nobody sends in good faith, in every member of every body, message and query: each is taken as it is, or
refused by a typed error; none is a 500, and what was taken can be shown again.
"""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.attacks.scale import FULL
from tests.conftest import Service, open_service
from visavis.channel.actions import Close, Send, Speak, Update
from visavis.channel.protocol import ChannelProtocol
from visavis.channel.server_messages import ErrorMessage
from visavis.engine.output import DEFAULT_OUTPUT
from visavis.engine.portrait.points import NAMES
from visavis.errors import CHANNEL, declared_errors
from visavis.stage.port import messages

pytestmark = pytest.mark.anyio

SHARE = 1 if FULL else 12
# As JSON text: Python cannot write some of them.
ODD = [
    *("null", "true", "false", "0", "-0", "-0.0", "-1", "1.5", "1E+2", "2147483648", "9223372036854775808", "1e308"),
    *("-1e308", "5e-324", "1e400", "-1e400", "NaN", "Infinity", "-Infinity", "1" * 30, "9" * 999, "-" + "9" * 999),
    *("0x10", "01", "1.", ".5", "'a'", "undefined", ""),
    *('""', '" "', '"x"', '"0"', '"null"', '"NaN"', '"\\u0000"', '"\\n"', '"\\ud800"', '"\\udfff\\ud800"', '"\\u202e"'),
    *('"😀"', '"../../etc/passwd"', '"\' OR 1=1 --"', '"%s%n{0}{a.b}"', '"<script>"', '"\\u0661"', '"http://"'),
    *(
        '"http://["',
        '"https://\\u00e9\\u00e9/"',
        '"data:"',
        '"data:;base64,"',
        '"data:image/png;base64,===="',
        '"AA=A"',
    ),
    *("[]", "[[]]", "[null]", "[1,2,3]", '["x","x"]', "{}", '{"a":{}}', '{"":0}', '{"__class__":"x"}', '{"\\ud800":1}'),
    *('{"a":1,"a":2}', "[" * 60 + "]" * 60, "[" * 70 + "]" * 70, f'"{"x" * 5000}"', f'"{"é" * 3000}"'),
]


_chosen = count()


def some_odd() -> list[str]:
    """Return the odd values for the next member: all of them in full; otherwise one in SHARE, other ones each time."""
    start = next(_chosen) % SHARE
    return ODD[start::SHARE]


def bodies(honest: dict[str, Any], *, path: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """Yield the honest body with one member changed, once for each member and each odd value; with its name."""
    for name, value in honest.items():
        for odd in some_odd():
            marked = json.dumps(_replaced(honest, name))
            yield f"{'.'.join((*path, name))}={odd[:40]}", marked.replace('"<odd>"', odd)
        if isinstance(value, dict):
            for label, inner in bodies(value, path=(*path, name)):
                yield label, json.dumps(_replaced(honest, name)).replace('"<odd>"', inner)
    for odd in some_odd():
        yield (
            f"{'.'.join((*path, 'unknown'))}={odd[:40]}",
            json.dumps({**honest, "unknown": "<odd>"}).replace('"<odd>"', odd),
        )


def _replaced(honest: dict[str, Any], name: str) -> dict[str, Any]:
    return {**honest, name: "<odd>"}


@pytest.fixture
async def roomy(tmp_path: Path) -> AsyncIterator[Service]:
    """A service whose quotas do not end the test."""
    async with open_service(
        tmp_path, max_avatars_per_account=100_000, max_created_sessions_per_account=100_000, preparations_waiting=1000
    ) as service:
        yield service


OUTPUTS: list[dict[str, Any]] = [
    {"background": {"type": "blur", "strength": 0.5}, "framing": {"zoom": 1.2}},
    {"background": {"type": "color", "color": "#102030"}, "emotion": {"name": "happy", "weight": 0.6}},
    {"background": {"type": "image", "image": "eA=="}},
]
POINTS = {name: [0.5, 0.5] for name in NAMES}


def refuse_nothing_oddly(label: str, answer: Any) -> None:
    assert answer.status_code < 500 and answer.status_code != 422, (label, answer.text)
    body = answer.json()
    if answer.status_code >= 400:
        assert body["success"] is False and isinstance(body["error"]["code"], str), (label, body)
    assert "site-packages" not in answer.text and "Traceback" not in answer.text, (label, answer.text)


async def test_every_member_of_a_create(roomy: Service) -> None:
    hosted = [
        {"avatar_id": roomy.look_id, "metadata": {"k": "v"}},
        *({"avatar_id": roomy.look_id, "output": output} for output in OUTPUTS),
    ]
    own = {"avatar": roomy.look_id, "aspect_ratio": "4:3", "room": {"platform": "embedded"}, "metadata": {"k": 1}}
    for honest in (*hosted, own):
        for label, body in bodies(honest):
            answer = await roomy.client.post(
                "/v1/sessions",
                content=body.encode(errors="surrogatepass"),
                headers={"content-type": "application/json"},
            )
            refuse_nothing_oddly(label, answer)
            if answer.status_code == 201:
                session_id = answer.json()["session"]["session_id"]
                shown = await roomy.client.get(f"/v1/sessions/{session_id}")
                assert shown.status_code == 200, (label, shown.text)
                if honest is own:
                    await roomy.client.put(f"/v1/sessions/{session_id}/end")
    shown = await roomy.client.get("/v1/sessions?limit=100&metadata.k=x")
    assert shown.status_code == 200, shown.text


async def test_every_member_of_an_upload(roomy: Service) -> None:
    photo = base64.b64encode(b"a face of many letters").decode()
    honest = {"image_base64": photo, "name": "A name", "points": POINTS}
    for label, body in [*bodies(honest), *bodies({"image_url": "http://192.0.2.1/"}), *bodies({"file": "x"})]:
        answer = await roomy.client.post(
            "/v1/avatars/upload-face",
            content=body.encode(errors="surrogatepass"),
            headers={"content-type": "application/json"},
        )
        refuse_nothing_oddly(label, answer)
    assert (await roomy.client.get("/v1/avatars?characters_only=false")).status_code == 200
    assert (await roomy.client.get("/v1/avatars?view=flat")).status_code == 200


async def test_every_field_of_a_form(roomy: Service) -> None:
    for name in ("file", "image_url", "image_base64", "name", "points", "unknown", "", "a\r\nb", 'a"b', "é"):
        for odd in some_odd():
            fields = {"image_base64": "eA==", name: odd.strip('"')}
            answer = await roomy.client.post("/v1/avatars/upload-face", data=fields)
            refuse_nothing_oddly(f"{name}={odd[:40]}", answer)
            answer = await roomy.client.post("/v1/avatars/upload-face", files={name: (odd[:200], odd.encode(), "a/b")})
            refuse_nothing_oddly(f"{name} as a file={odd[:40]}", answer)


FORMS = {
    "no boundary": ("multipart/form-data", b"--x--"),
    "an empty boundary": ("multipart/form-data; boundary=", b"--\r\n\r\n----"),
    "a quoted boundary": ('multipart/form-data; boundary="a b"', b"--a b\r\n\r\n\r\n--a b--"),
    "a boundary of 300 letters": ("multipart/form-data; boundary=" + "b" * 300, b"--" + b"b" * 300 + b"--"),
    "a boundary of 60,000 letters": ("multipart/form-data; boundary=" + "b" * 60_000, b"--x--"),
    "a thousand parameters": ("multipart/form-data; boundary=x" + "; a=b" * 1000, b"--x--"),
    "quotes and semicolons": ('multipart/form-data; boundary=x; a="' + ';"' * 400, b"--x--"),
    "a boundary with a line break": ('multipart/form-data; boundary="x\\\r"', b"--x--"),
    "two boundaries": ("multipart/form-data; boundary=x; boundary=y", b"--x\r\n--y--"),
    "nothing": ("multipart/form-data; boundary=x", b""),
    "only the end": ("multipart/form-data; boundary=x", b"--x--\r\n"),
    "never an end": ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\n'),
    "a part without headers": ("multipart/form-data; boundary=x", b"--x\r\n\r\neA==\r\n--x--"),
    "a part without a name": (
        "multipart/form-data; boundary=x",
        b"--x\r\nContent-Disposition: form-data\r\n\r\n\r\n--x--",
    ),
    "a part with two dispositions": (
        "multipart/form-data; boundary=x",
        b'--x\r\nContent-Disposition: form-data; name="a"\r\nContent-Disposition: form-data; name="image_base64"\r\n'
        b"\r\neA==\r\n--x--",
    ),
    "a file name that is a path": (
        "multipart/form-data; boundary=x",
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="../../../../etc/cron.d/x\\0"\r\n\r\nx\r\n--x--',
    ),
    "a name in another charset": (
        "multipart/form-data; boundary=x",
        b'--x\r\nContent-Disposition: form-data; name="\xff\xfe"\r\n\r\nx\r\n--x--',
    ),
    "a charset of a part": (
        "multipart/form-data; boundary=x",
        b'--x\r\nContent-Disposition: form-data; name="name"\r\nContent-Type: text/plain; charset=punycode\r\n\r\n'
        b"x\r\n--x--",
    ),
    "a field that is not UTF-8": (
        "multipart/form-data; boundary=x",
        b'--x\r\nContent-Disposition: form-data; name="name"\r\n\r\n\xff\xfe\r\n--x--',
    ),
    "_charset_": (
        "multipart/form-data; boundary=x",
        b'--x\r\nContent-Disposition: form-data; name="_charset_"\r\n\r\npunycode\r\n--x--',
    ),
    "parts within parts": (
        "multipart/form-data; boundary=x",
        b'--x\r\nContent-Disposition: form-data; name="file"\r\nContent-Type: multipart/mixed; boundary=y\r\n\r\n'
        b'--y\r\nContent-Disposition: file; filename="a"\r\n\r\nx\r\n--y--\r\n--x--',
    ),
    "a transfer encoding of a part": (
        "multipart/form-data; boundary=x",
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
        b"eA==\r\n--x--",
    ),
    "broken escapes": ("application/x-www-form-urlencoded", b"image_base64=%zz%&name=%&=&&&%00=%ff"),
    "many semicolons": ("application/x-www-form-urlencoded", b";" * 5000),
    "a form as JSON": ("application/x-www-form-urlencoded", b'{"image_base64":"eA=="}'),
    "JSON as a form": ("application/json", b"image_base64=eA%3D%3D"),
    "JSON with a charset": ("application/json; charset=utf-16", '{"image_base64":"eA=="}'.encode("utf-16")),
    "JSON in UTF-16 by its mark": ("application/json", '{"image_base64":"eA=="}'.encode("utf-16")),
    "another type": ("text/plain", b'{"image_base64":"eA=="}'),
    "no type": ("", b'{"image_base64":"eA=="}'),
    "a type of control characters": ("application/\x01json", b"{}"),
}


async def test_odd_forms_are_refused_or_read(service: Service) -> None:
    for name, (content_type, body) in FORMS.items():
        answer = await service.client.post(
            "/v1/avatars/upload-face", content=body, headers={b"content-type": content_type.encode("latin-1")}
        )
        refuse_nothing_oddly(name, answer)


ADDRESSES = [
    *("/v1/sessions?status=", "/v1/sessions?limit=", "/v1/sessions?cursor=", "/v1/sessions?metadata.k="),
    *("/v1/sessions?metadata.", "/v1/sessions?metadata", "/v1/avatars?parent_id=", "/v1/avatars?characters_only="),
    *("/v1/avatars?view=", "/v1/avatars/public?characters_only=", "/v1/sessions/", "/v1/avatars/", "/media/avatars/"),
    *("/rooms/", "/v1/channel/", "/assets/", "/samples/", "/docs/", "/internal/packs/", "/"),
]
ODD_PARTS = [
    *("", "%00", "%0a", "%ff", "%ed%a0%80", "%F0%9F%98%80", "..%2f..", "%252e", "+", "&", "=", "==", "1", "-1", "0"),
    *("1e3", "%D9%A1", "1%00", "null", "x" * 3000, "a&limit=1&limit=2", "%22", "%27%20OR%201=1", "%5c", "[]", "{}"),
    *("sess_01H3Z8G9YR3K2N5M6P7Q8W4T00", "sess_01h3z8g9yr3k2n5m6p7q8w4t00", "sess_01H3Z8G9YR3K2N5M6P7Q8W4T00%0a"),
    *("avat_01H3Z8G9YR3K2N5M6P7Q8W4T00", "9" * 40, "%F0%9D%9F%91", "a/b", "a/preview.jpg", "a/report", "a/9/b"),
]


async def test_odd_queries_and_paths(service: Service) -> None:
    for address in ADDRESSES:
        for part in ODD_PARTS[next(_chosen) % SHARE :: SHARE]:
            for method in ("GET", "PUT", "POST", "DELETE", "PATCH", "OPTIONS"):
                answer = await service.client.request(method, address + part)
                assert answer.status_code < 500 and answer.status_code != 422, (method, address + part, answer.text)


async def test_odd_idempotency_keys(service: Service) -> None:
    body = {"avatar_id": service.look_id}
    for key in (b"", b" ", b"\t", b"x" * 256, b"\xc3\xa9", b"\xff", b"a, b"):
        answer = await service.client.post("/v1/sessions", json=body, headers={b"idempotency-key": key})
        assert answer.status_code in (201, 400), (key, answer.text)
    twice = await service.client.post(
        "/v1/sessions", json=body, headers=[("idempotency-key", "one"), ("idempotency-key", "two")]
    )
    assert twice.status_code == 201


# The channel

MESSAGES: list[dict[str, Any]] = [
    {
        "type": "agent.speak",
        "audio": "AAAA",
        "sample_rate": 16000,
        "utterance_id": "u",
        "final": True,
        "alphabet": "ipa",
        "emotion": {"name": "happy", "weight": 1},
        "phonemes": [{"symbol": "a", "start_ms": 0, "end_ms": 0.05}],
    },
    {"type": "agent.say", "text": "Hello.", "voice": "v", "utterance_id": "u", "final": True, "language": "de"},
    {"type": "agent.interrupt"},
    {"type": "agent.state", "state": "listening"},
    {"type": "audio.format", "sample_rate": 16000},
    *({"type": "session.update", "output": output} for output in OUTPUTS),
    {"type": "session.init", "session_id": "s", "session_token": "t"},
]
PHONE = {"symbol": "a", "start_ms": 0, "end_ms": 0.05}
INITS: list[dict[str, Any]] = [
    {"type": "session.init", "session_id": "s", "session_token": "t", "features": ["binary"]},
    {
        "type": "session.init",
        "features": [],
        "config": {
            "session_id": "s",
            "access_token": "t",
            "room": {"platform": "daily", "url": "u", "token": "t", "display_name": "n"},
            "video_width": 1280,
            "video_height": 720,
        },
    },
]


def open_channel() -> ChannelProtocol:
    protocol = ChannelProtocol()
    features = ["playback", "binary", "state", "motion", "text"]
    init = {"type": "session.init", "session_id": "s", "session_token": "t", "features": features}
    protocol.receive_text(json.dumps(init))
    protocol.attach_succeeded()
    return protocol


def check_actions(label: str, actions: list[Any]) -> None:
    """Errors are those of channels and can be written; what crosses the port to a stage can be sent."""
    for action in actions:
        match action:
            case Send(message=ErrorMessage(code=code)):
                assert CHANNEL in declared_errors()[code].told_over and code != "INTERNAL_ERROR", (label, code)
                action.message.model_dump_json()
            case Send():
                action.message.model_dump_json()
            case Close():
                assert len(action.reason.encode()) <= 123, label
            case Speak():
                messages.encode(
                    messages.Request(number=1, session_id="s", epoch=1, command=messages.Speak(speech=action.speech))
                )
            case Update():
                output = action.change.apply_to(DEFAULT_OUTPUT, picture_id="pict_" + "0" * 64)
                messages.encode(
                    messages.Request(number=1, session_id="s", epoch=1, command=messages.SetOutput(output=output))
                )


def test_every_member_of_every_message() -> None:
    for honest in MESSAGES:
        for label, text in bodies(honest):
            check_actions(label, open_channel().receive_text(text))
    for label, phone in bodies(PHONE):
        text = json.dumps({**MESSAGES[0], "phonemes": "<odd>"}).replace('"<odd>"', f"[{phone}]")
        check_actions(f"phone: {label}", open_channel().receive_text(text))


def test_every_member_of_every_init() -> None:
    for honest in INITS:
        for label, text in bodies(honest):
            check_actions(label, ChannelProtocol().receive_text(text))


@pytest.mark.parametrize("text", [odd for odd in ODD if odd])
def test_a_message_that_is_no_object(text: str) -> None:
    check_actions(text, open_channel().receive_text(text))
    check_actions(text, ChannelProtocol().receive_text(text))
