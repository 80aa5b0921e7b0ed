"""Settings as deployments write them."""

from __future__ import annotations

import pytest

from visavis.errors import SettingInvalid
from visavis.settings import Settings, read_settings


def test_an_empty_variable_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ICE_SERVERS", "STAGE_ADDRESSES", "TRUSTED_PROXIES", "STAGES", "PUBLIC_URL", "LOG_LEVEL", "SECRET"):
        monkeypatch.setenv(f"VISAVIS_{name}", "")
    assert read_settings() == Settings()


@pytest.mark.parametrize("text", ["INFO", "Info", "info", " info "])
def test_a_log_level_is_taken_in_any_case(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("VISAVIS_LOG_LEVEL", text)
    assert read_settings().log_level == "info"


def test_an_unknown_log_level_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISAVIS_LOG_LEVEL", "loud")
    with pytest.raises(SettingInvalid, match=r"VISAVIS_LOG_LEVEL.*debug"):
        read_settings()
