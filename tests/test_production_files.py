"""The files for production say what the server takes, and every guide is reachable and leads somewhere."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from visavis.server import STOP_WITHIN_S
from visavis.settings import Settings
from visavis.signals import HAND_OVER
from visavis.stage.port.address import Address

ROOT = Path(__file__).parents[1]
PRODUCTION = ROOT / "examples" / "production"


def assignments(text: str) -> dict[str, str]:
    """Return what a file of settings assigns."""
    lines = (line for line in text.splitlines() if line and not line.startswith("#"))
    return dict(line.split("=", 1) for line in lines)


def test_the_settings_for_production_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = {
        "VISAVIS_SECRET_FILE": "s" * 64,
        "VISAVIS_DATABASE_URL_FILE": "postgresql://visavis:secret@db.example.org/visavis",
        "VISAVIS_ICE_SERVERS_FILE": '[{"url": "turns:turn.example.org:443?transport=tcp", "secret": "x"}]',
        "VISAVIS_METRICS_TOKEN_FILE": "m" * 32,
    }
    given = assignments((PRODUCTION / "visavis.env").read_text())
    assert secrets.keys() == {name for name in given if name.endswith("_FILE")}
    for name, value in given.items():
        if name in secrets:
            file = tmp_path / name
            file.write_text(secrets[name])
            value = str(file)
        monkeypatch.setenv(name, value)
    settings = Settings()
    for name in given:
        field = name.removeprefix("VISAVIS_").removesuffix("_FILE").lower()
        assert field in settings.model_fields_set, name
    assert settings.public_url == "https://avatars.example.com"
    assert settings.sessions_kept_days == 90 and settings.ice_servers[0].secret is not None


@pytest.mark.parametrize(
    ("file", "setting"),
    [
        ("examples/production/visavis.service", r"^TimeoutStopSec=(\d+)$"),
        ("deploy/compose.yaml", r"^    stop_grace_period: (\d+)s$"),
    ],
)
def test_whatever_stops_the_server_waits_longer_than_that_takes(file: str, setting: str) -> None:
    found = re.search(setting, (ROOT / file).read_text(), re.M)
    assert found is not None
    assert int(found[1]) > Settings().drain_s + STOP_WITHIN_S


def test_a_reload_of_the_unit_is_the_hand_over_and_stages_outlive_their_server() -> None:
    unit = assignments(re.sub(r"(?m)^\[.*\]$", "", (PRODUCTION / "visavis.service").read_text()))
    assert unit["ExecReload"] == f'/bin/sh -c "kill -{HAND_OVER.name.removeprefix("SIG")} $MAINPID"'
    assert (unit["Restart"], unit["KillMode"]) == ("always", "process")
    assert "MemoryDenyWriteExecute" not in unit  # pyOpenSSL's callbacks, which the DTLS of viewers needs
    # the processes of two servers must see each other's: a new one opens its stages' memory through /proc
    assert "PrivateUsers" not in unit and unit.get("ProcSubset", "all") == "all"


def test_the_unit_of_a_fleets_machine_waits_for_its_drain_and_leaves_no_process() -> None:
    given = assignments((PRODUCTION / "visavis-stage.env").read_text())
    assert Address.parse(given.pop("LISTEN")).path is None
    assert {name.removeprefix("VISAVIS_").lower() for name in given} <= Settings.model_fields.keys()
    unit = assignments(re.sub(r"(?m)^\[.*\]$", "", (PRODUCTION / "visavis-stage@.service").read_text()))
    assert int(unit["TimeoutStopSec"]) > float(given["VISAVIS_DRAIN_S"]) + STOP_WITHIN_S / 2
    assert (unit["Restart"], unit["KillMode"]) == ("always", "mixed")
    _, _, command = unit["ExecStart"].partition(" ")
    assert "--listen ${LISTEN} --address %i " in command
    assert command.endswith(f"--cache /var/lib/{unit['StateDirectory']}")
    options = set(re.findall(r"--[a-z-]+", command))
    help_command = [sys.executable, "-m", "visavis", "stage", "--help"]
    environment = os.environ | {"NO_COLOR": "1", "COLUMNS": "200"}
    shown = subprocess.run(help_command, capture_output=True, text=True, timeout=60, check=True, env=environment)
    assert options <= set(re.findall(r"--[a-z-]+", shown.stdout)), shown.stdout


@pytest.mark.parametrize("name", ["visavis.service", "visavis-stage@.service"])
@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_the_unit_is_hardened(name: str, tmp_path: Path) -> None:
    unit = tmp_path / name.replace("@.", "@stage-1.example.org.")
    unit.write_text((PRODUCTION / name).read_text())
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=20", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stdout


def test_the_container_opens_the_ports_that_its_settings_use() -> None:
    container = (ROOT / "deploy" / "Containerfile").read_text()
    compose = (ROOT / "deploy" / "compose.yaml").read_text()
    (ports,) = set(re.findall(r"VISAVIS_MEDIA_PORTS[=:] ?(\S+)", container + compose))
    assert f"EXPOSE 8000/tcp {ports}/udp" in container
    assert f'ports: ["8000:8000", "{ports}:{ports}/udp"]' in compose
    for name in set(re.findall(r"\b(VISAVIS_\w+?)(?:_FILE)?[=:]", container + compose)):
        assert name.removeprefix("VISAVIS_").lower() in Settings.model_fields, name


def test_the_reference_is_listed_and_every_link_of_a_guide_leads_somewhere() -> None:
    listed = (ROOT / "llms.txt").read_text()
    for page in sorted((ROOT / "docs").glob("reference/*.md")):
        assert f"({page.relative_to(ROOT)})" in listed, page
    for page in [ROOT / "llms.txt", *(ROOT / "docs" / "howto").glob("*.md")]:
        for link in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
            if not link.startswith(("http://", "https://", "mailto:")):
                assert (page.parent / link).exists(), (page, link)
