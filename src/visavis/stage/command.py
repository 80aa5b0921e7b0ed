"""`visavis stage`: runs a stage for servers on other machines."""

from __future__ import annotations

from pathlib import Path

from visavis.errors import AddressUnavailable, SettingInvalid
from visavis.logs import configure_logs
from visavis.settings import read_network_settings
from visavis.stage.given_files import check_cache, read_token
from visavis.stage.port.address import Address
from visavis.stage.process import StageOptions, run_stage


def run(*, listen: str, token_file: Path, tls_cert: Path, tls_key: Path, cache: Path, log_json: bool = False) -> None:
    """Listen until SIGTERM or SIGINT.

    Raises `SettingInvalid` for an address, a token or a certificate that cannot be used, `FileUnusable` for a cache
    that cannot be written, and `AddressUnavailable`.
    """
    try:
        address = Address.parse(listen)
    except ValueError as error:
        raise SettingInvalid(str(error)) from None
    if address.path is not None:
        raise SettingInvalid("--listen takes wss://HOST:PORT; a server starts the stages on its own machine itself")
    token = read_token(token_file)
    check_cache(cache)
    configure_logs(level="info", as_json=log_json)
    options = StageOptions(
        address=address,
        token=token,
        cache=cache,
        tls_cert=tls_cert,
        tls_key=tls_key,
        network=read_network_settings().media_network,
    )
    try:
        run_stage(options, lambda bound: print(f"The stage listens at {bound}", flush=True))
    except OSError as error:
        raise AddressUnavailable(f"Cannot listen at {address}: {error.strerror or error}") from error
