"""Listing sessions: newest first, by status, in pages, by metadata."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.conftest import Service
from visavis.sessions.ends import SessionEnd
from visavis.sessions.lifecycle import EndReason

pytestmark = pytest.mark.anyio


async def ids(service: Service, query: str = "") -> list[str]:
    answer = await service.client.get(f"/v1/sessions{query}")
    assert answer.status_code == 200, answer.text
    return [session["session_id"] for session in answer.json()["sessions"]]


async def make(service: Service, **metadata: Any) -> str:
    answer = await service.client.post("/v1/sessions", json={"avatar_id": service.look_id, "metadata": metadata})
    return str(answer.json()["session"]["session_id"])


async def test_newest_first_and_by_status(service: Service) -> None:
    created, started, ended = [await make(service) for _ in range(3)]
    for session_id in (started, ended):
        await service.client.put(f"/v1/sessions/{session_id}/start")
    await service.client.put(f"/v1/sessions/{ended}/end")
    assert await ids(service) == await ids(service, "?status=all") == [ended, started, created]
    for status, session_id in (("created", created), ("started", started), ("ended", ended)):
        assert await ids(service, f"?status={status}") == [session_id]
    one = (await service.client.get(f"/v1/sessions/{started}")).json()["session"]
    listed = (await service.client.get("/v1/sessions?status=started")).json()
    assert list(listed) == ["success", "sessions"]
    assert listed["sessions"] == [one]


async def test_pages_meet_without_gap_or_overlap(service: Service) -> None:
    made = [await make(service) for _ in range(5)][::-1]
    first = (await service.client.get("/v1/sessions?limit=2")).json()
    assert list(first) == ["success", "sessions", "next_cursor"]
    seen, cursor = [session["session_id"] for session in first["sessions"]], first["next_cursor"]
    described = service.app.openapi()["paths"]["/v1/sessions"]["get"]["parameters"]
    pattern = next(one["schema"]["pattern"] for one in described if one["name"] == "cursor")
    assert re.search(pattern, cursor), "the description lets a client send what it was given"
    while cursor is not None:
        page = (await service.client.get(f"/v1/sessions?limit=2&cursor={cursor}")).json()
        seen += [session["session_id"] for session in page["sessions"]]
        cursor = page["next_cursor"]
    assert seen == made


async def test_an_end_that_is_not_written_yet_leaves_no_page_out(service: Service) -> None:
    made = [await make(service) for _ in range(3)][::-1]
    for session_id in made:
        await service.client.put(f"/v1/sessions/{session_id}/start")
    key = await service.services.accounts.authenticate(service.key)
    record = await service.services.sessions.get(key, made[1])
    end = SessionEnd(before=record, reason=EndReason.CLIENT, ended_at_ms=record.created_at_ms, metering={})
    service.services.live.ends.unwritten[record.id] = end
    first = (await service.client.get("/v1/sessions?limit=2&status=started")).json()
    assert [session["session_id"] for session in first["sessions"]] == made[:1]
    last = (await service.client.get(f"/v1/sessions?limit=2&status=started&cursor={first['next_cursor']}")).json()
    assert ([session["session_id"] for session in last["sessions"]], last["next_cursor"]) == (made[2:], None)
    del service.services.live.ends.unwritten[record.id]


async def test_filters_on_metadata_strings(service: Service) -> None:
    first = await make(service, user="Ann", **{"odd key é": "x y"})
    second = await make(service, user="Bob", **{"a.b": "1"})
    await make(service)
    assert await ids(service, "?metadata.user=Ann") == [first]
    assert await ids(service, "?metadata.user=Bob&metadata.a.b=1") == [second]
    assert await ids(service, "?metadata.odd%20key%20%C3%A9=x%20y") == [first]
    assert await ids(service, "?metadata.user=ann") == []


async def test_filters_match_strings_alone(service: Service) -> None:
    for value in (True, False, 1, 0, None, ["1"], {"a": "1"}):
        await make(service, k=value)
    text = await make(service, k="1")
    assert await ids(service, "?metadata.k=1") == [text]
    for text_of_another in ("true", "false", "0", "null", "", '["1"]'):
        assert await ids(service, f"?metadata.k={text_of_another}") == [], text_of_another


async def test_metadata_comes_back_as_it_came(service: Service) -> None:
    metadata = {"z": 1, "a": {"nested": [None, True, 1.5, "é😀\u0000", {}]}, "": "", "1": -(10**30)}
    session_id = await make(service, **metadata)
    again = (await service.client.get(f"/v1/sessions/{session_id}")).json()["session"]["metadata"]
    assert again == metadata
    assert list(again) == list(metadata)
