"""The Compose file of a fleet says what the server takes, its parts know each other, and no secret of it is missing."""

from __future__ import annotations

import ipaddress
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from visavis.server import STOP_WITHIN_S
from visavis.settings import Settings

FOLDER = Path(__file__).parents[1] / "deploy" / "fleet"
SERVERS, STAGES = ("server-1", "server-2"), ("stage-1", "stage-2", "stage-3")
GIVEN = {"VISAVIS_PUBLIC_URL": "https://avatars.example.com", "VISAVIS_VIEWER_ADDRESSES": '["203.0.113.7"]'}


def given(value: str) -> str:
    """Return a value with what the file takes from its environment, and its defaults."""
    return re.sub(r"\$\{(\w+)(?::[-?]([^}]*))?\}", lambda found: GIVEN.get(found[1], found[2]), value)


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text())
    return document


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = compose["services"]
    return found


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    """The folder that make-secrets makes."""
    command = [str(FOLDER / "make-secrets"), "avatars.example.com", "203.0.113.7", str(tmp_path / "secrets")]
    subprocess.run(command, check=True, timeout=30, capture_output=True)
    return tmp_path / "secrets"


def settings_of(
    service: dict[str, Any], folder: Path, monkeypatch: pytest.MonkeyPatch, **files: str
) -> tuple[Settings, set[str]]:
    """Return the settings of a container, and which of them are given. `folder`: in place of /run/secrets."""
    with monkeypatch.context() as environment:
        for name, value in service["environment"].items():
            path = given(str(value)).replace("/run/secrets", str(folder))
            environment.setenv(name, files.get(name, path))
        names = {name.removeprefix("VISAVIS_").removesuffix("_FILE").lower() for name in service["environment"]}
        return Settings(), names


def test_the_servers_take_their_settings_and_differ_in_their_addresses_alone(
    services: dict[str, dict[str, Any]], secrets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    urls = []
    for name in SERVERS:
        assert services[name]["command"][-2:] == ["--stages", "none"]
        monkeypatch.setenv("VISAVIS_FLEET", "true")
        settings, names = settings_of(services[name], secrets, monkeypatch)
        assert names <= settings.model_fields_set
        assert settings.stage_source_url == f"http://{name}:8000"
        urls.append(settings.resolved_database_url)
        assert settings.secret is not None and len(settings.secret.get_secret_value()) >= 32
        assert settings.ice_servers[0].secret is not None
        assert str(settings.trusted_proxies[0]) == services["balancer"]["networks"]["fleet"]["ipv4_address"]
    assert urls[0] == urls[1]
    one, other = (services[name]["environment"] for name in SERVERS)
    assert {name for name in one if one[name] != other[name]} == {"VISAVIS_STAGE_SOURCE_URL"}
    key = (secrets / "s3-secret").read_text()
    assert (secrets / "s3.env").read_text().splitlines() == ["ROOT_ACCESS_KEY=visavis", f"ROOT_SECRET_KEY={key}"]
    assert (secrets / "database-password").read_text() in urls[0]


def test_each_machine_of_stages_opens_the_ports_that_it_tells_viewers(
    services: dict[str, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "database").write_text("postgresql://visavis_stage_1:x@db/visavis")
    ranges, roles = set(), {"VISAVIS_DATABASE_URL_FILE": str(tmp_path / "database")}
    for name in STAGES:
        stage = services[name]
        settings, names = settings_of(stage, tmp_path, monkeypatch, **roles)
        assert names <= settings.model_fields_set
        ports = settings.media_network.ports
        assert ports.last - ports.first + 1 == settings.stages
        assert stage["ports"] == [f"{settings.media_ports}:{settings.media_ports}/udp"]
        ranges.add((ports.first, ports.last))
        assert stage["command"][stage["command"].index("--address") + 1] == name
        assert f"{name}-door:/run/stage:ro" in stage["volumes"]
        assert not any("-door" in volume and name not in volume for volume in stage["volumes"])
    assert len(ranges) == len(STAGES)
    assert services["admission"]["entrypoint"][2:] == list(STAGES)


@pytest.mark.parametrize("name", [*SERVERS, *STAGES])
def test_whatever_stops_a_container_waits_longer_than_that_takes(
    services: dict[str, dict[str, Any]], name: str
) -> None:
    drain_s = float(services[name]["environment"].get("VISAVIS_DRAIN_S", Settings.model_fields["drain_s"].default))
    grace_s = int(services[name]["stop_grace_period"].removesuffix("s"))
    assert grace_s > drain_s + STOP_WITHIN_S


def test_containers_write_their_volumes_alone_and_have_no_rights(services: dict[str, dict[str, Any]]) -> None:
    for name in (*SERVERS, *STAGES, "admission", "balancer"):
        service = services[name]
        assert service["read_only"] is True and service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
    assert all("max-size" in service["logging"]["options"] for service in services.values())
    opened = {port for service in services.values() for port in service.get("ports", [])}
    assert {port for port in opened if not port.endswith("/udp")} == {"443:8443"}


def test_the_balancer_knows_the_servers_by_their_addresses(
    compose: dict[str, Any], services: dict[str, dict[str, Any]]
) -> None:
    config = (FOLDER / "nginx.conf").read_text()
    known = re.findall(r"^\s+server (\S+):8000 ", config, re.M)
    assert known == [services[name]["networks"]["fleet"]["ipv4_address"] for name in SERVERS]
    (network,) = compose["networks"]["fleet"]["ipam"]["config"]
    fixed = [ipaddress.ip_address(one) for one in (*known, services["balancer"]["networks"]["fleet"]["ipv4_address"])]
    assert all(one in ipaddress.ip_network(network["subnet"]) for one in fixed)
    assert not any(one in ipaddress.ip_network(network["ip_range"]) for one in fixed), "others may be given it"
    assert re.search(r"location /internal/ \{\s+return 404;", config)


def test_every_secret_is_made_once_and_those_of_others_are_not_readable(
    compose: dict[str, Any], services: dict[str, dict[str, Any]], secrets: Path
) -> None:
    named = {one["file"].removeprefix("secrets/") for one in compose["secrets"].values()}
    made = {path.name for path in secrets.iterdir()}
    assert named - made == {"balancer.pem", "balancer.key"} and made - named == {"s3.env"}
    used = {secret for service in services.values() for secret in service.get("secrets", [])}
    assert used == compose["secrets"].keys()
    open_to_all = {path.name for path in secrets.iterdir() if path.stat().st_mode & 0o007}
    assert open_to_all == {"database-password", "turnserver.conf"}
    assert json.loads((secrets / "ice-servers").read_text())[0]["url"].startswith("turn:203.0.113.7:")
    before = (secrets / "secret").read_text()
    command = [str(FOLDER / "make-secrets"), "avatars.example.com", "203.0.113.7", str(secrets)]
    again = subprocess.run(command, check=False, timeout=30, capture_output=True)
    assert again.returncode == 1 and (secrets / "secret").read_text() == before


ADMISSION = """#!/bin/sh
[ -e "$ROLES/ready" ] || { touch "$ROLES/ready"; exit 1; }
case "$1 $2" in
"db stage-role") echo "$4" >>"$ROLES/made"; echo "postgresql://$4@db/visavis" ;;
"stage-tokens create") echo "token of $4" ;;
esac
"""


def test_admission_waits_for_the_tables_and_lets_each_machine_in_once(tmp_path: Path) -> None:
    """A program of that name stands for visavis: what it prints is not looked at here."""
    program = tmp_path / "bin" / "visavis"
    program.parent.mkdir()
    program.write_text(ADMISSION)
    program.chmod(0o755)
    script = (FOLDER / "admission").read_text().replace("/objects", f"{tmp_path}/objects")
    script = script.replace("/stages/", f"{tmp_path}/stages/").replace("sleep 1", "sleep 0.01")
    for stage in STAGES:
        (tmp_path / "stages" / stage).mkdir(parents=True)
    environment = {"PATH": f"{program.parent}:/usr/bin:/bin", "ROLES": str(tmp_path)}
    for _ in range(2):
        subprocess.run(["bash", "-c", script, "admission", *STAGES], check=True, timeout=30, env=environment)
    assert (tmp_path / "made").read_text().split() == ["visavis_stage_1", "visavis_stage_2", "visavis_stage_3"]
    for stage in STAGES:
        door = tmp_path / "stages" / stage
        assert (door / "token").read_text() == f"token of {stage}\n"
        assert (door / "database").read_text() == f"postgresql://visavis_{stage.replace('-', '_')}@db/visavis\n"
        assert not (door / "database").stat().st_mode & 0o007
    assert (tmp_path / "objects" / "visavis").is_dir()
