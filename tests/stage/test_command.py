"""`visavis stage` refuses an invalid address, token or certificate with one error."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.certificates import write_certificate
from visavis.cli import app
from visavis.errors import AddressUnavailable, SettingInvalid
from visavis.stage.command import run
from visavis.stage.given_files import MIN_TOKEN_CHARS

TOKEN = "t" * MIN_TOKEN_CHARS


def refusal(folder: Path, *, listen: str = "wss://127.0.0.1:0", token: bytes = TOKEN.encode()) -> str:
    cert, key = write_certificate(folder, "127.0.0.1")
    (folder / "token").write_bytes(token)
    with pytest.raises(SettingInvalid) as error:
        run(listen=listen, token_file=folder / "token", tls_cert=cert, tls_key=key, cache=folder / "cache")
    return error.value.message


@pytest.mark.parametrize(
    "listen", ["127.0.0.1:8443", "ws://127.0.0.1:8443", "wss://127.0.0.1", "wss://127.0.0.1:x", ""]
)
def test_an_invalid_address_is_refused(tmp_path: Path, listen: str) -> None:
    assert listen in refusal(tmp_path, listen=listen)


def test_a_unix_socket_is_refused(tmp_path: Path) -> None:
    assert "--listen takes wss://HOST:PORT" in refusal(tmp_path, listen=f"unix:{tmp_path}/stage.sock")


@pytest.mark.parametrize("token", [b"", b"t" * (MIN_TOKEN_CHARS - 1), b"\n" + b"t" * (MIN_TOKEN_CHARS - 1) + b"\n"])
def test_a_short_token_is_refused(tmp_path: Path, token: bytes) -> None:
    assert f"at least {MIN_TOKEN_CHARS} characters" in refusal(tmp_path, token=token)


def test_a_token_that_is_not_text_is_refused(tmp_path: Path) -> None:
    assert "cannot be read" in refusal(tmp_path, token=b"\xff\xfe" * MIN_TOKEN_CHARS)


def test_a_key_of_another_certificate_is_refused(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    cert, _ = write_certificate(tmp_path / "one", "127.0.0.1")
    _, key = write_certificate(tmp_path / "other", "127.0.0.1")
    (tmp_path / "token").write_text(TOKEN)
    with pytest.raises(SettingInvalid, match="is not that of the certificate"):
        run(
            listen="wss://127.0.0.1:0",
            token_file=tmp_path / "token",
            tls_cert=cert,
            tls_key=key,
            cache=tmp_path / "cache",
        )


def test_a_port_in_use_is_an_error(tmp_path: Path) -> None:
    cert, key = write_certificate(tmp_path, "127.0.0.1")
    (tmp_path / "token").write_text(TOKEN)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"wss://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(AddressUnavailable, match=f"Cannot listen at {listen}"):
            run(listen=listen, token_file=tmp_path / "token", tls_cert=cert, tls_key=key, cache=tmp_path / "cache")


def called(options: list[str]) -> Result:
    """Return how `visavis stage` ends with these options."""
    before = os.umask(0o077)  # which the command sets
    try:
        return CliRunner().invoke(app, ["stage", "--listen", "wss://127.0.0.1:8443", *options], env={"COLUMNS": "400"})
    finally:
        os.umask(before)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ([], "give --fleet-token-file, or --token-file"),
        (["--token-file", "{token}", "--tls-cert", "{token}"], "give --fleet-token-file, or --token-file"),
        (["--fleet-token-file", "{token}", "--token-file", "{token}"], "needs no other token and no certificate"),
        (
            ["--token-file", "{token}", "--tls-cert", "{token}", "--tls-key", "{token}", "--label", "region=eu"],
            "--address and --label belong to --fleet-token-file",
        ),
        (["--fleet-token-file", "{token}", "--label", "region"], "--label region: write NAME=VALUE"),
        (["--fleet-token-file", "{token}", "--label", "region="], "--label region=: write NAME=VALUE"),
        (["--fleet-token-file", "{token}", "--label", "a b=c"], "--label a b=c: write NAME=VALUE"),
    ],
)
def test_options_that_do_not_fit_together_are_refused(options: list[str], told: str, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(TOKEN)
    given = [option.format(token=tmp_path / "token") for option in options]
    done = called(given)
    assert done.exit_code == 2 and told in done.output, done.output


def test_a_machine_of_a_fleet_needs_its_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VISAVIS_DATABASE_URL", raising=False)
    (tmp_path / "token").write_text(TOKEN)
    given = ["--address", "127.0.0.1", "--fleet-token-file", str(tmp_path / "token"), "--label", "region=eu"]
    done = called(given)
    assert done.exit_code == 1 and isinstance(done.exception, SettingInvalid), done.output
    assert "PostgreSQL" in done.exception.message
