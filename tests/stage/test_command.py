"""`visavis stage` refuses an invalid address, token or certificate with one error."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.certificates import write_certificate
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
    with pytest.raises(SettingInvalid, match="cannot be used"):
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
