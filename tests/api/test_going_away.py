"""What goes away says so first, in headers and in the OpenAPI description. Nothing does today: the tests enter calls
and members that stay.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from tests.conftest import Service, open_service
from visavis.api import going_away
from visavis.api.going_away import GoingAway

pytestmark = pytest.mark.anyio

LATER = GoingAway(since=date(2026, 12, 1), until=date(2027, 12, 1))
SOON = GoingAway(since=date(2026, 12, 1), until=date(2027, 6, 2))
LATER_TOLD = ("@1796083200", "Wed, 01 Dec 2027 00:00:00 GMT")
SOON_TOLD = ("@1796083200", "Wed, 02 Jun 2027 00:00:00 GMT")


@pytest.fixture(autouse=True)
def leaving(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(going_away.CALLS, ("GET", "/v1/sessions/{session_id}"), LATER)
    monkeypatch.setitem(going_away.MEMBERS, ("GET", "/v1/sessions/{session_id}", "billing"), SOON)
    monkeypatch.setitem(going_away.MEMBERS, ("POST", "/v1/sessions", "metadata"), SOON)
    monkeypatch.setitem(going_away.MEMBERS, ("POST", "/v1/avatars/upload-face", "name"), LATER)


async def told(service: Service, method: str, address: str, **options: object) -> tuple[int, tuple[str, str] | None]:
    """Return the status of an answer, and its `Deprecation` and `Sunset`."""
    answer = await service.client.request(method, address, **options)  # type: ignore[arg-type]
    headers = answer.headers
    assert ("deprecation" in headers) is ("sunset" in headers)
    return answer.status_code, (headers["deprecation"], headers["sunset"]) if "sunset" in headers else None


async def test_a_call_says_it_in_every_answer_and_a_member_where_it_is_used(tmp_path: Path) -> None:
    async with open_service(tmp_path) as service:
        look = {"avatar_id": service.look_id}
        session = (await service.client.post("/v1/sessions", json=look)).json()["session"]
        one = f"/v1/sessions/{session['session_id']}"
        assert await told(service, "GET", one) == (200, LATER_TOLD)
        assert await told(service, "HEAD", one) == (200, LATER_TOLD)
        assert await told(service, "GET", "/v1/sessions/sess_x") == (404, LATER_TOLD)
        assert await told(service, "GET", one + "?billing=seconds") == (200, SOON_TOLD)
        assert await told(service, "GET", one + "?billing=x") == (400, SOON_TOLD)
        assert await told(service, "POST", "/v1/sessions", json=look) == (201, None)
        assert await told(service, "POST", "/v1/sessions", json={**look, "metadata": {}}) == (201, SOON_TOLD)
        assert await told(service, "POST", "/v1/sessions", json={**look, "metadata": 7}) == (400, SOON_TOLD)
        assert await told(service, "GET", "/v1/sessions?metadata=x") == (200, None)
        assert await told(service, "PUT", one + "/start") == (200, None)
        form = {"file": ("face.jpg", b"a face"), "name": (None, "Ann")}
        assert await told(service, "POST", "/v1/avatars/upload-face", files=form) == (201, LATER_TOLD)
        del form["name"]
        assert await told(service, "POST", "/v1/avatars/upload-face", files=form) == (201, None)


async def test_the_description_marks_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_service(tmp_path) as service:
        described = (await service.client.get("/openapi.json")).json()
        get = described["paths"]["/v1/sessions/{session_id}"]["get"]
        assert get["deprecated"] is True
        assert [one["name"] for one in get["parameters"] if one.get("deprecated")] == ["billing"]
        assert {"Deprecation", "Sunset", "Request-Id"} <= set(get["responses"]["404"]["headers"])
        create = described["paths"]["/v1/sessions"]["post"]
        assert "deprecated" not in create and "Sunset" in create["responses"]["201"]["headers"]
        for model in ("CreateHostedSession", "CreateOwnSession"):
            members = described["components"]["schemas"][model]["properties"]
            assert [name for name, schema in members.items() if schema.get("deprecated")] == ["metadata"]
    monkeypatch.undo()
    async with open_service(tmp_path / "other") as service:
        assert "deprecated" not in (await service.client.get("/openapi.json")).text


def test_clients_get_half_a_year() -> None:
    with pytest.raises(AssertionError, match="half a year"):
        GoingAway(since=date(2026, 12, 1), until=date(2027, 5, 31))
