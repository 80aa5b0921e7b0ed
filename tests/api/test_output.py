"""`output`: how a session looks, from its creation in either dialect, live, and to its end, when its pictures go."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest
from PIL import Image

from tests.conftest import Service
from tests.sessions.test_live_sessions import init, store
from visavis.engine.motion.mood import Mood
from visavis.engine.output import DEFAULT_OUTPUT, Output
from visavis.engine.pack_ref import picture_id_of
from visavis.engine.render.backdrop import Backdrop, Framing
from visavis.errors import BackgroundRefused, PerformerLost, SessionEnded
from visavis.output_json import read_output

pytestmark = pytest.mark.anyio


def png(colour: tuple[int, int, int] = (200, 30, 30), size: tuple[int, int] = (40, 30)) -> str:
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def picture(colour: tuple[int, int, int] = (200, 30, 30)) -> dict[str, Any]:
    return {"background": {"type": "image", "image": "data:image/png;base64," + png(colour)}}


async def create(service: Service, output: Any, *, own: bool = False, key: str | None = None) -> Any:
    body = {"avatar" if own else "avatar_id": service.look_id, "output": output}
    headers = {} if key is None else {"Idempotency-Key": key}
    return await service.client.post("/v1/sessions", json=body, headers=headers)


async def started(service: Service, output: Any) -> dict[str, Any]:
    session: dict[str, Any] = (await create(service, output)).json()["session"]
    assert (await service.client.put(f"/v1/sessions/{session['session_id']}/start")).status_code == 200
    return session


def pictures(service: Service) -> list[Path]:
    return sorted((service.services.settings.data_dir / "sessions").glob("*/*"))


FULL = {
    "background": {"type": "color", "color": "#102030"},
    "framing": {"zoom": 1.5},
    "emotion": {"name": "happy", "weight": 0.5},
}


@pytest.mark.parametrize("own", [False, True])
async def test_a_session_looks_as_it_was_created_and_answers_as_any(service: Service, own: bool) -> None:
    answer = await create(service, FULL, own=own)
    plain = await service.client.post("/v1/sessions", json={"avatar" if own else "avatar_id": service.look_id})
    assert answer.status_code == 201
    body, session = answer.json(), answer.json()["session"]
    assert list(body) == list(plain.json()) and list(session) == list(plain.json()["session"])
    if not own:
        await service.client.put(f"/v1/sessions/{session['session_id']}/start")
    wanted = Output(
        backdrop=Backdrop(kind="color", color=(16, 32, 48)), framing=Framing(zoom=1.5), mood=Mood(happy=0.5)
    )
    assert service.performer(session["session_id"]).spec.output == wanted
    shown = (await service.client.get(f"/v1/sessions/{session['session_id']}")).json()
    assert "output" not in str(shown)


async def test_a_session_without_output_looks_as_ever(service: Service) -> None:
    session = (await service.client.post("/v1/sessions", json={"avatar": service.look_id})).json()["session"]
    assert service.performer(session["session_id"]).spec.output == DEFAULT_OUTPUT
    record = await store(service).get(session["session_id"])
    assert record is not None and record.output is None


NO_OUTPUTS: list[tuple[Any, str, str]] = [
    (None, "INVALID_OUTPUT", "must be an object"),
    ([], "INVALID_OUTPUT", "must be an object"),
    ({"backgroud": {}}, "INVALID_OUTPUT", "backgroud"),
    ({"background": "blue"}, "INVALID_BACKGROUND", "object"),
    ({"background": {"type": "color"}}, "INVALID_BACKGROUND", "color"),
    ({"background": {"type": "color", "color": "#12345"}}, "INVALID_BACKGROUND", "colour"),
    ({"background": {"type": "color", "color": "#123456", "alpha": 1}}, "INVALID_BACKGROUND", "alpha"),
    ({"background": {"type": "blur", "strength": 2}}, "INVALID_BACKGROUND", "strength"),
    ({"background": {"type": "image", "image": 3}}, "INVALID_BACKGROUND", "image"),
    ({"background": {"type": "image", "image": "!!!"}}, "INVALID_BACKGROUND", "base64"),
    (
        {"background": {"type": "image", "image": base64.b64encode(b"no picture at all").decode()}},
        "INVALID_BACKGROUND",
        "JPEG",
    ),
    (
        {"background": {"type": "image", "image": base64.b64encode(base64.b64decode(png())[:50]).decode()}},
        "INVALID_BACKGROUND",
        "damaged",
    ),
    ({"background": {"type": "image", "image": "http://127.0.0.1/a.png"}}, "INVALID_BACKGROUND", "public internet"),
    ({"background": {"type": "image", "image": "file:///etc/passwd"}}, "INVALID_BACKGROUND", "base64"),
    ({"framing": {"zoom": 0}}, "INVALID_FRAMING", "0.5 to 2"),
    ({"framing": {"zoom": 10**400}}, "INVALID_FRAMING", "0.5 to 2"),
    ({"framing": {"x" * 100_000: 1}}, "INVALID_FRAMING", "has no member x"),
    ({"framing": 2}, "INVALID_FRAMING", "zoom"),
    ({"emotion": "bored"}, "INVALID_EMOTION", "neutral, happy"),
    ({"emotion": {"name": "sad", "weight": -1}}, "INVALID_EMOTION", "0 to 1"),
]


async def test_what_is_no_output_is_refused_and_leaves_nothing(service: Service) -> None:
    for output, code, says in NO_OUTPUTS:
        case = (says, str(output)[:80])
        for own in (False, True):
            answer = await create(service, output, own=own)
            assert answer.status_code == 400, (case, answer.text)
            error = answer.json()["error"]
            assert error["code"] == code and says in error["message"] + error.get("suggestion", ""), (case, error)
        assert (await service.client.get("/v1/sessions")).json()["sessions"] == [] and not pictures(service), case


async def test_a_picture_is_kept_while_the_session_lives(service: Service) -> None:
    session = await started(service, picture())
    (file,) = pictures(service)
    backdrop = service.performer(session["session_id"]).spec.output.backdrop
    assert backdrop == Backdrop(kind="image", picture_id=picture_id_of(file.read_bytes()))
    assert file.name == f"{backdrop.picture_id}.jpg"
    red, green, blue = np.asarray(Image.open(file).convert("RGB"))[5, 5]
    assert red > 180 and green < 60 and blue < 60
    await service.client.put(f"/v1/sessions/{session['session_id']}/end")
    assert not pictures(service)


async def test_a_picture_of_a_session_that_cannot_start_goes_at_once(service: Service) -> None:
    service.fleet.failure = PerformerLost("gone")
    assert (await create(service, picture(), own=True)).status_code == 503
    assert not pictures(service)


async def test_pictures_of_sessions_that_ended_unheard_are_swept_away(service: Service) -> None:
    session = await started(service, picture())
    left = service.services.settings.data_dir / "sessions" / "sess_of_old" / "background.jpg"
    left.parent.mkdir()
    left.write_bytes(b"a picture")
    await service.services.backgrounds.delete_orphans(store(service))
    assert [path.parent.name for path in pictures(service)] == [session["session_id"]]


async def test_an_idempotent_create_makes_one_session_with_one_picture(service: Service) -> None:
    answers = [await create(service, picture(), key="one") for _ in range(2)]
    assert answers[0].json() == answers[1].json() and len(pictures(service)) == 1
    other = await create(service, FULL, key="one")
    assert other.status_code == 409


async def test_a_session_can_be_changed_while_it_runs(service: Service) -> None:
    session = await started(service, FULL)
    attached = await service.services.live.attach(init(session))
    performer = service.performer(session["session_id"])
    shown = await attached.update(read_output({"background": {"type": "blur"}}))
    assert (
        shown
        == performer.output
        == Output(backdrop=Backdrop(kind="blur"), framing=Framing(zoom=1.5), mood=Mood(happy=0.5))
    )
    await attached.update(read_output({"emotion": None, "framing": None}))
    assert performer.output == Output(backdrop=Backdrop(kind="blur"))
    record = await store(service).get(session["session_id"])
    assert record is not None and service.services.backgrounds.output_of(record) == performer.output


async def test_a_new_picture_replaces_the_old_one_and_a_refused_one_does_not(service: Service) -> None:
    session = await started(service, picture())
    attached = await service.services.live.attach(init(session))
    performer = service.performer(session["session_id"])
    (first,) = pictures(service)
    await attached.update(read_output(picture((10, 10, 200))))
    (second,) = pictures(service)
    assert second != first and performer.output.backdrop.picture_id == second.stem
    with pytest.raises(BackgroundRefused):
        await attached.update(read_output({"background": {"type": "image", "image": "AAAA"}}))
    assert pictures(service) == [second]
    await attached.update(read_output({"background": {"type": "transparent"}}))
    assert not pictures(service) and performer.output.backdrop.transparent
    await service.client.put(f"/v1/sessions/{session['session_id']}/end")
    with pytest.raises(SessionEnded):
        await attached.update(read_output({}))


async def test_a_picture_that_the_stage_refuses_is_not_kept(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    session = await started(service, picture())
    attached = await service.services.live.attach(init(session))
    before = pictures(service)

    async def refuse(output: Output) -> None:
        raise BackgroundRefused("The background image could not be read")

    monkeypatch.setattr(service.performer(session["session_id"]), "set_output", refuse)
    with pytest.raises(BackgroundRefused):
        await attached.update(read_output(picture((1, 2, 3))))
    assert pictures(service) == before


async def test_changes_come_about_one_after_the_other(service: Service) -> None:
    session = await started(service, FULL)
    attached = await service.services.live.attach(init(session))
    async with anyio.create_task_group() as tasks:
        for zoom in (0.5, 1.0, 1.75):
            tasks.start_soon(
                attached.update, read_output({"framing": {"zoom": zoom}} | (picture() if zoom == 0.5 else {}))
            )
    assert service.performer(session["session_id"]).output.framing.zoom == 1.75


async def test_the_schema_tells_of_output(service: Service) -> None:
    schemas = (await service.client.get("/openapi.json")).json()["components"]["schemas"]
    assert set(schemas["Output"]["properties"]) == {"background", "framing", "emotion"}
    for dialect in ("CreateHostedSession", "CreateOwnSession"):
        assert "output" in schemas[dialect]["properties"]
