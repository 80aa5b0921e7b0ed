"""Settings as deployments write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from visavis.errors import SettingInvalid
from visavis.settings import Settings, load_secret, read_settings

SECRET = "a secret of at least thirty-two bytes"


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


def test_json_that_is_none_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISAVIS_ICE_SERVERS", "stun:stun.example.org")
    with pytest.raises(SettingInvalid, match=r"^VISAVIS_ICE_SERVERS: not JSON$"):
        read_settings()


def test_a_value_may_be_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = {
        "SECRET": SECRET + "\n",
        "STAGE_TOKEN": "\ufeffthe token of the stages\r\n",
        "DATABASE_URL": "postgresql+asyncpg://visavis:pass word@db/visavis",
        "ICE_SERVERS": '[{"url": "turn:turn.example.org", "secret": "of the TURN server"}]\n',
        "STAGES": "3\n",
    }
    for name, value in values.items():
        (tmp_path / name).write_text(value, encoding="utf-8")
        monkeypatch.setenv(f"VISAVIS_{name}_FILE", str(tmp_path / name))
    settings = read_settings()
    assert load_secret(settings) == SECRET.encode()
    assert settings.stage_token is not None and settings.stage_token.get_secret_value() == "the token of the stages"
    assert settings.resolved_database_url == values["DATABASE_URL"]
    assert "pass word" not in repr(settings)
    assert settings.ice_servers[0].secret is not None
    assert settings.ice_servers[0].secret.get_secret_value() == "of the TURN server"
    assert settings.stages == 3


def test_a_systemd_credential_is_taken_unless_a_variable_is_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert read_settings().secret is None
    (tmp_path / "visavis_secret").write_text(SECRET)
    (tmp_path / "of_another_program").write_text("hush")
    assert load_secret(read_settings()) == SECRET.encode()
    (tmp_path / "file").write_text(SECRET.upper())
    monkeypatch.setenv("VISAVIS_SECRET_FILE", str(tmp_path / "file"))
    assert load_secret(read_settings()) == SECRET.upper().encode()
    monkeypatch.delenv("VISAVIS_SECRET_FILE")
    monkeypatch.setenv("VISAVIS_SECRET", SECRET.title())
    assert load_secret(read_settings()) == SECRET.title().encode()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"\n", "is empty"),
        (b"\xff\xfe", "is not UTF-8 text"),
        (b"stun:stun.example.org", "the file does not hold JSON"),
        (b'["stun:stun.example.org"]', "valid dictionary"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None, problem: str
) -> None:
    if content is not None:
        (tmp_path / "value").write_bytes(content)
    monkeypatch.setenv("VISAVIS_ICE_SERVERS_FILE", str(tmp_path / "value"))
    with pytest.raises(SettingInvalid, match=f"^VISAVIS_ICE_SERVERS.*{problem}"):
        read_settings()


def test_a_value_that_is_given_twice_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISAVIS_SECRET", SECRET)
    monkeypatch.setenv("VISAVIS_SECRET_FILE", str(tmp_path / "value"))
    with pytest.raises(SettingInvalid, match="VISAVIS_SECRET and VISAVIS_SECRET_FILE are both set"):
        read_settings()


def test_daily_needs_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISAVIS_ROOM_PROVIDER", "daily")
    with pytest.raises(SettingInvalid, match="VISAVIS_ROOM_PROVIDER=daily needs VISAVIS_DAILY_API_KEY"):
        read_settings()
    monkeypatch.setenv("VISAVIS_DAILY_API_KEY", "key")
    assert read_settings().daily_api_url == "https://api.daily.co/v1"


@pytest.mark.parametrize("lacking", ["URL", "API_KEY", "API_SECRET"])
def test_a_livekit_server_needs_its_address_its_key_and_its_secret(
    monkeypatch: pytest.MonkeyPatch, lacking: str
) -> None:
    values = {"URL": "wss://livekit.example.com", "API_KEY": "devkey", "API_SECRET": "secret"}
    for name, value in values.items():
        monkeypatch.setenv(f"VISAVIS_LIVEKIT_{name}", value)
    assert read_settings().livekit_url == "wss://livekit.example.com"
    monkeypatch.delenv(f"VISAVIS_LIVEKIT_{lacking}")
    with pytest.raises(SettingInvalid, match="VISAVIS_LIVEKIT_URL, VISAVIS_LIVEKIT_API_KEY"):
        read_settings()


def test_a_certificate_needs_its_key_and_both_are_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISAVIS_TLS_CERT", "cert.pem")
    with pytest.raises(SettingInvalid, match=r"^VISAVIS_TLS_CERT and VISAVIS_TLS_KEY .* need each other$"):
        read_settings()
    monkeypatch.setenv("VISAVIS_TLS_KEY", "-----BEGIN PRIVATE KEY-----")
    with pytest.raises(SettingInvalid, match=r"^VISAVIS_TLS_KEY: .*the path of a file"):
        read_settings()
    monkeypatch.setenv("VISAVIS_TLS_KEY", "other.pem")
    assert read_settings(tls_key=Path("key.pem"), tls_cert=None).tls_key == Path("key.pem")
