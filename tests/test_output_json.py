"""Outputs in JSON: which are accepted, which are refused, and how they are written."""

from __future__ import annotations

from typing import Any

import pytest

from visavis.engine.motion.mood import NEUTRAL, Mood
from visavis.engine.output import DEFAULT_OUTPUT, Output
from visavis.engine.pack_ref import picture_id_of
from visavis.engine.render.backdrop import DEFAULT_FRAMING, PHOTO, Backdrop, Framing
from visavis.errors import BackgroundRefused, FramingRefused, InvalidEmotion, InvalidOutput
from visavis.output_json import (
    OutputChange,
    PictureSource,
    read_background,
    read_emotion,
    read_framing,
    read_output,
    write_output,
)


@pytest.mark.parametrize(
    ("value", "backdrop"),
    [
        ({"type": "photo"}, Backdrop()),
        ({"type": "color", "color": "#1a2b3c"}, Backdrop(kind="color", color=(26, 43, 60))),
        ({"type": "color", "color": "#FA0"}, Backdrop(kind="color", color=(255, 170, 0))),
        ({"type": "blur"}, Backdrop(kind="blur", strength=0.5)),
        ({"type": "blur", "strength": 1}, Backdrop(kind="blur", strength=1.0)),
        ({"type": "transparent"}, Backdrop(kind="transparent")),
        ({"type": "chroma"}, Backdrop(kind="chroma", color=(0, 177, 64))),
    ],
)
def test_a_background_is_read(value: object, backdrop: Backdrop) -> None:
    change = read_output({"background": value})
    assert change == OutputChange(background=backdrop) and change.apply_to(DEFAULT_OUTPUT) == Output(backdrop=backdrop)


@pytest.mark.parametrize(
    "value",
    [
        None,
        "photo",
        {},
        {"type": []},
        {"type": "sunset"},
        {"type": "color"},
        {"type": "color", "color": "red"},
        {"type": "color", "color": "#12345"},
        {"type": "color", "color": 7},
        {"type": "photo", "color": "#fff"},
        {"type": "blur", "strength": 0},
        {"type": "blur", "strength": 1.5},
        {"type": "blur", "strength": "strong"},
        {"type": "blur", "strength": True},
        {"type": "blur", "strength": float("nan")},
        {"type": "blur", "strength": 10**400},
        {"type": "blur", "\ud800": 1},
        {"type": "image"},
        {"type": "image", "image": 3},
        {"type": "transparent", "alpha": 1},
    ],
)
def test_an_invalid_background_is_refused(value: object) -> None:
    with pytest.raises(BackgroundRefused) as refused:
        read_background(value)
    assert (refused.value.status, refused.value.code) == (400, "INVALID_BACKGROUND")
    assert refused.value.message


def test_a_picture_is_read_as_its_source_and_stored_as_its_id() -> None:
    change = read_output({"background": {"type": "image", "image": "https://example.com/office.jpg"}})
    assert change.background == PictureSource(text="https://example.com/office.jpg")
    picture_id = picture_id_of(b"an office")
    output = change.apply_to(Output(framing=Framing(zoom=1.5)), picture_id=picture_id)
    assert output == Output(backdrop=Backdrop(kind="image", picture_id=picture_id), framing=Framing(zoom=1.5))
    assert write_output(output)["background"] == {"type": "image"}  # whose picture it is stays with its session


@pytest.mark.parametrize(
    "value", [None, 1.2, {"zoom": "near"}, {"zoom": 0.1}, {"zoom": 9}, {"zoom": 10**400}, {"zoom": True}, {"tilt": 3}]
)
def test_an_invalid_framing_is_refused(value: object) -> None:
    with pytest.raises(FramingRefused):
        read_framing(value)


@pytest.mark.parametrize(
    ("value", "mood"),
    [
        ("happy", Mood(happy=1.0)),
        ({"name": "sad", "weight": 0.25}, Mood(sad=0.25)),
        ({"name": "serious"}, Mood(serious=1.0)),
        ("neutral", NEUTRAL),
    ],
)
def test_an_emotion_is_read(value: object, mood: Mood) -> None:
    assert read_emotion(value) == mood


@pytest.mark.parametrize(
    "value",
    [None, 1, "bored", {}, {"name": "sad", "weight": 1.5}, {"name": "sad", "weight": True}, {"name": "sad", "for": 3}],
)
def test_an_invalid_emotion_is_refused(value: object) -> None:
    with pytest.raises(InvalidEmotion):
        read_emotion(value)


@pytest.mark.parametrize("value", [None, [], "photo", {"backgroud": {}}])
def test_an_output_that_is_not_an_object_or_has_an_unknown_member_is_refused(value: object) -> None:
    with pytest.raises(InvalidOutput):
        read_output(value)


def test_a_missing_member_does_not_change_and_null_sets_the_default() -> None:
    before = Output(backdrop=Backdrop(kind="blur"), framing=Framing(zoom=2.0), mood=Mood(happy=0.5))
    assert read_output({}).apply_to(before) == before
    reset = read_output({"background": None, "framing": None, "emotion": None})
    assert reset == OutputChange(background=PHOTO, framing=DEFAULT_FRAMING, mood=NEUTRAL)
    assert reset.apply_to(before) == DEFAULT_OUTPUT


@pytest.mark.parametrize(
    "written",
    [
        {"background": {"type": "photo"}, "framing": {"zoom": 1.0}, "emotion": {"name": "neutral", "weight": 1.0}},
        {
            "background": {"type": "color", "color": "#0a1b2c"},
            "framing": {"zoom": 0.5},
            "emotion": {"name": "surprised", "weight": 0.25},
        },
        {
            "background": {"type": "blur", "strength": 0.75},
            "framing": {"zoom": 2.0},
            "emotion": {"name": "serious", "weight": 1.0},
        },
    ],
)
def test_an_output_is_written_in_the_form_that_can_be_read(written: dict[str, Any]) -> None:
    assert write_output(read_output(written).apply_to(DEFAULT_OUTPUT)) == written
