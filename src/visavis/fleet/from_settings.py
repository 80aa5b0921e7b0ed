"""The fleet that the settings name."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

import structlog

from visavis.connections.network import is_loopback
from visavis.fleet.admission import Limits
from visavis.fleet.ice_servers import shared_ice_servers
from visavis.fleet.identity import ServerIdentity
from visavis.fleet.local import LocalStages
from visavis.fleet.placed import Directory, Machine, PlacedFleet
from visavis.fleet.remote import RemoteStages
from visavis.fleet.stages import StageFleet
from visavis.settings import Settings
from visavis.stage.port.address import Address
from visavis.stage.port.heartbeat import FENCED_PING_EVERY_S
from visavis.stage.port.messages import HttpSource
from visavis.tls.trust import read_authorities

log = structlog.get_logger("visavis.fleet")


def own_fleet(settings: Settings, identity: ServerIdentity, *, source_token: str) -> StageFleet:
    """Return the fleet of this server alone: processes of this machine, or the stages on others that the settings name.
    `source_token`: opens packs and pictures to stages on other machines. Raises `SettingInvalid`.
    """
    limits = Limits.of(settings)
    if not settings.stage_addresses:
        local = LocalStages(
            data_dir=settings.data_dir.absolute(),
            identity=identity,
            grace_s=settings.stage_grace_s,
            max_stages=settings.stages,
            cores=settings.cores,
            ice_servers=shared_ice_servers(settings),
            silent_s=settings.stage_silence_s,
            network=settings.media_network,
            log_level=settings.log_level,
            log_json=settings.log_json,
        )
        return StageFleet(local, limits=limits, keep_spare=settings.spare_stage and settings.stages is None)
    assert settings.stage_token is not None
    remote = RemoteStages(
        addresses=tuple(Address.parse(address) for address in settings.stage_addresses),
        token=settings.stage_token.get_secret_value(),
        source=_source(settings, source_token, authorities_of_servers(settings)),
        identity=identity,
        grace_s=settings.stage_grace_s,
        ca_file=settings.stage_ca_file,
        ice_servers=shared_ice_servers(settings),
        silent_s=2 * settings.stage_silence_s,
    )
    return StageFleet(remote, limits=limits)


def placed_fleet(
    settings: Settings,
    identity: ServerIdentity,
    directory: Directory,
    *,
    source_token_of: Callable[[str], str],
    owns_sessions: Callable[[], bool],
) -> PlacedFleet:
    """Return the fleet of the machines that stand in the database. `source_token_of`: opens packs and pictures to a
    machine, by its id. `owns_sessions`: see `StageFleet`. Raises `SettingInvalid`.
    """
    authorities_pem = authorities_of_servers(settings)

    def open_machine(machine: Machine) -> StageFleet:
        processes = RemoteStages(
            addresses=machine.addresses,
            token=machine.token,
            source=_source(settings, source_token_of(machine.id), authorities_pem),
            identity=identity,
            grace_s=settings.stage_grace_s,
            ca_file=settings.stage_ca_file if machine.authority_pem is None else None,
            authority_pem=machine.authority_pem,
            ice_servers=shared_ice_servers(settings),
            silent_s=2 * settings.stage_silence_s,
            ping_every_s=FENCED_PING_EVERY_S,
        )
        # The database has placed the session there.
        limits = Limits(measured=False)
        return StageFleet(processes, limits=limits, open_all=True, owns_sessions=owns_sessions)

    return PlacedFleet(directory, open_machine)


def authorities_of_servers(settings: Settings) -> str | None:
    """Return whom other machines believe for the certificate of a server, in PEM; None: their own authorities. Raises
    `SettingInvalid`.
    """
    return None if settings.server_ca_file is None else read_authorities(settings.server_ca_file)


def name_links_without_tls(settings: Settings) -> None:
    """Log the addresses at which other machines reach this server without TLS: keys, tokens and photos go there."""
    if settings.fleet or settings.stage_addresses:
        for url in dict.fromkeys(filter(None, (settings.stage_source_url, settings.server_url))):
            split = urlsplit(url)
            if split.scheme == "http" and split.hostname != "localhost" and not is_loopback(split.hostname or ""):
                log.warning("link_without_tls", url=url)


def _source(settings: Settings, token: str, authorities_pem: str | None) -> HttpSource:
    url = settings.stage_source_url or settings.public_url or ""
    return HttpSource(url=url, token=token, authority_pem=authorities_pem)
