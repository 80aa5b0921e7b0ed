"""Every error of the engine becomes an error of visavis.errors, with the engine's message and suggestion."""

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
from visavis.refusals import to_visavis_error, translated_engine_errors


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
def test_a_refused_image_has_an_error_for_each_reason(reason: Reason, kind: type[VisavisError]) -> None:
    error = to_visavis_error(ImageRefused(reason, "It is so", suggestion="Send another"))
    assert type(error) is kind and (error.message, error.suggestion) == ("It is so", "Send another")


def test_every_reason_and_every_error_of_the_engine_is_translated() -> None:
    images = {to_visavis_error(ImageRefused(reason, "")).code for reason in Reason}
    assert len(images) == len(Reason)  # no two reasons share a code
    for kind in EngineError.__subclasses__():
        if kind is not ImageRefused:
            assert to_visavis_error(kind("It is so")).message == "It is so"


@pytest.mark.parametrize(
    ("kind", "translated"),
    [
        (engine.PackUnreadable, PackUnreadable),
        (engine.PictureUnreadable, BackgroundRefused),
        (engine.SandboxFailed, PreparationFailed),
    ],
)
def test_an_engine_error_raised_inside_is_translated_and_becomes_the_cause(
    kind: type[EngineError], translated: type[VisavisError]
) -> None:
    with pytest.raises(translated, match="It is so") as raised, translated_engine_errors():
        raise kind("It is so")
    assert isinstance(raised.value.__cause__, kind)


def test_other_errors_are_not_translated() -> None:
    with pytest.raises(PortraitRefused), translated_engine_errors():
        raise PortraitRefused("No")
    with pytest.raises(KeyError), translated_engine_errors():
        raise KeyError
