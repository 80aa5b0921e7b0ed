"""What the engine refuses reaches clients under a code of the catalogue, with the engine's words."""

from __future__ import annotations

import pytest

from visavis.engine import errors as engine
from visavis.engine.errors import EngineError, ImageRefused, Reason
from visavis.errors import (
    BackgroundRefused,
    FaceTooSmall,
    ImageTooLarge,
    ImageTypeRefused,
    InvalidPoints,
    PackUnreadable,
    PortraitRefused,
    PreparationFailed,
    VisavisError,
)
from visavis.refusals import as_told, engine_errors_told


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        (Reason.UNREADABLE, PortraitRefused),
        (Reason.TOO_LARGE, ImageTooLarge),
        (Reason.UNKNOWN_TYPE, ImageTypeRefused),
        (Reason.FACE_TOO_SMALL, FaceTooSmall),
        (Reason.WRONG_POINTS, InvalidPoints),
    ],
)
def test_a_refused_image_is_told_with_the_code_of_its_reason(reason: Reason, kind: type[VisavisError]) -> None:
    told = as_told(ImageRefused(reason, "It is so", suggestion="Send another"))
    assert type(told) is kind and (told.message, told.suggestion) == ("It is so", "Send another")


def test_every_reason_and_every_error_of_the_engine_is_told() -> None:
    images = {as_told(ImageRefused(reason, "")).code for reason in Reason}
    assert len(images) == len(Reason)  # no two reasons share a code
    for kind in EngineError.__subclasses__():
        if kind is not ImageRefused:
            assert as_told(kind("It is so")).message == "It is so"


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        (engine.PackUnreadable, PackUnreadable),
        (engine.PictureUnreadable, BackgroundRefused),
        (engine.SandboxFailed, PreparationFailed),
    ],
)
def test_what_is_raised_within_is_told_and_keeps_its_cause(kind: type[EngineError], told: type[VisavisError]) -> None:
    with pytest.raises(told, match="It is so") as raised, engine_errors_told():
        raise kind("It is so")
    assert isinstance(raised.value.__cause__, kind)


def test_other_errors_pass() -> None:
    with pytest.raises(PortraitRefused), engine_errors_told():
        raise PortraitRefused("No")
    with pytest.raises(KeyError), engine_errors_told():
        raise KeyError
