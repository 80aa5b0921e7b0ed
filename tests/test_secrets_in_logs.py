"""No secret is in a log: a server and its stages log all that they can over a whole session, and every secret that was
made, shown or given meanwhile is looked for.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
from websockets.sync.client import connect

from tests.used_folder import used_before
from visavis.demo.server_process import ServerProcess
from visavis.library import DEFAULT_PORTRAIT

SETTINGS = {
    "VISAVIS_SECRET": "the-secret-of-this-server-" + "x" * 20,
    "VISAVIS_METRICS_TOKEN": "token-of-the-metrics-page",
    "VISAVIS_S3_SECRET_ACCESS_KEY": "secret-key-of-a-bucket",
    "VISAVIS_ICE_SERVERS": json.dumps(
        [
            {"url": "turn:127.0.0.1:9", "secret": "shared-secret-of-turn"},
            {"url": "turn:127.0.0.1:9", "username": "u", "credential": "fixed-credential-of-turn"},
        ]
    ),
    "VISAVIS_WEBHOOK_NETWORKS": '["127.0.0.1/32"]',
    "VISAVIS_LOG_LEVEL": "debug",
    "VISAVIS_STAGES": "1",
}
GIVEN = (
    "the-secret-of-this-server-",
    "token-of-the-metrics-page",
    "secret-key-of-a-bucket",
    "shared-secret-of-turn",
    "fixed-credential-of-turn",
)
METADATA = "what only the customer knows"


def test_no_secret_is_in_a_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with ServerProcess(data_dir=used_before(tmp_path / "data"), log=log, settings=SETTINGS) as server:
        server.wait_ready()
        key = server.create_key("tests")
        secrets = set_off_everything(server.base_url, key, server.sign_in_address("tests"))
    text = log.read_text(errors="replace")
    assert len(re.findall("session_started|session_ended", text)) >= 2, "the log tells of the session"
    assert "webhook_fails" in text and len(secrets) >= 12
    for name, secret in {**secrets, **{given: given for given in GIVEN}, "metadata": METADATA}.items():
        assert len(secret) >= 16, name
        assert secret not in text, f"the log has the {name}"


def set_off_everything(base_url: str, key: str, sign_in: str) -> dict[str, str]:
    """Make every kind of call, also refused ones; return the secrets that were in requests and answers."""
    secrets = {"API key": key, "code of a sign-in": urlsplit(sign_in).fragment.partition("=")[2]}
    with httpx.Client(base_url=base_url, headers={"x-api-key": key}, timeout=30) as api:

        def post(path: str, body: dict[str, Any] | None = None, **headers: str) -> dict[str, Any]:
            answer = api.post(path, json=body, headers=headers)
            assert answer.is_success, answer.text
            found: dict[str, Any] = answer.json()
            return found

        hook = post("/v1/webhooks", {"url": "http://127.0.0.1:9/path-that-is-a-secret"})
        secrets |= {"secret of a webhook": hook["secret"], "path of a webhook": "path-that-is-a-secret"}
        secrets["rotated secret"] = post(f"/v1/webhooks/{hook['webhook']['webhook_id']}/rotate")["secret"]
        photo = {"file": ("ann.jpg", DEFAULT_PORTRAIT.path.read_bytes(), "image/jpeg")}
        look = api.post("/v1/avatars/upload-face", files=photo).raise_for_status().json()
        secrets["signature of a picture"] = parse_qs(urlsplit(look["image_url"]).query)["s"][0]
        assert httpx.get(look["image_url"]).status_code == 200
        body = {"avatar_id": look["avatar_id"], "metadata": {"note": METADATA}}
        session = post("/v1/sessions", body, **{"Idempotency-Key": "idempotency-key-of-a-create"})["session"]
        address, room = f"/v1/sessions/{session['session_id']}", session["daily_room"]
        secrets |= {"access token": session["access_token"], "token of the room": room["token"]}
        ws_uri = "try_again"
        while ws_uri == "try_again":
            ws_uri = post(f"{address}/start")["ws_uri"]
        for purpose in ("watch", "speak", "control"):
            made = post(f"{address}/tokens", {"purpose": purpose})["token"]
            secrets[f"token to {purpose}"] = made["token"]
        for token in (room["token"], secrets["token to watch"], "vvt_a-token-that-nobody-has-made"):
            httpx.get(f"{room['url']}?t={token}")
            httpx.get(f"{room['url']}/picture", headers={"authorization": f"Bearer {token}"})
            httpx.post(
                f"{room['url']}/whep",
                content="v=0\r\n",
                headers={"authorization": f"Bearer {token}", "content-type": "application/sdp"},
            )
        speak(ws_uri, session, "a-wrong-access-token-of-mine")
        speak(ws_uri, session, session["access_token"])
        secrets["wrong access token"] = "a-wrong-access-token-of-mine"
        secrets["wrong API key"] = "ah_live_" + "w" * 32
        for wrong in (secrets["wrong API key"], key[:-1] + "!"):
            assert api.get("/v1/sessions", headers={"x-api-key": wrong}).status_code == 401
        with httpx.Client(base_url=base_url, headers={"origin": base_url}) as browser:
            signed_in = browser.post("/sign-in", json={"code": secrets["code of a sign-in"]})
            assert signed_in.status_code == 200, signed_in.text
            secrets["page token"] = signed_in.json()["sign_in"]["page_token"]
            (secrets["cookie of an operator"],) = browser.cookies.values()
            browser.get("/v1/sessions")
        post(f"{address}/end")
        api.delete(address)
        api.delete(f"/v1/avatars/{look['avatar_id']}")
        api.post("/v1/sessions", content=b"{" + session["access_token"].encode())
    return secrets


def speak(ws_uri: str, session: dict[str, Any], token: str) -> None:
    """Open the channel with a token, and speak if it is the right one."""
    room = {"platform": "daily", "url": session["daily_room"]["url"], "token": session["daily_room"]["token"]}
    config = {"session_id": session["session_id"], "access_token": token, "room": room}
    with connect(ws_uri) as channel:
        channel.send(json.dumps({"type": "session.init", "config": config}))
        if json.loads(channel.recv(timeout=20))["type"] == "connection.established":
            channel.send(json.dumps({"type": "agent.speak", "audio": "AAAA", "sample_rate": 16_000}))
            channel.recv(timeout=20)
