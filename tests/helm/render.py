"""What needs helm, which is built from its Go module (minutes, once): `make chart-check` runs these tests. The chart
lints, it renders what the files in rendered/ say, and values that cannot work are refused by name.

`python -m tests.helm.render` writes those files anew, after a change of the chart.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.helm.chart import ALL, CHART, KUBERNETES, RENDERED, SMALLEST, Values, file_of, seal
from tools import helm

pytestmark = pytest.mark.timeout(900)  # the first test waits until helm is built

Helm = Callable[..., "subprocess.CompletedProcess[str]"]


def run_on_chart(folder: Path, values: Mapping[str, Any], *command: str) -> subprocess.CompletedProcess[str]:
    """Run helm on the chart with values, without a cluster. `folder`: for its own files."""
    homes = {f"HELM_{kind}_HOME": str(folder / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA")}
    file = folder / "values.json"
    file.write_text(json.dumps(values))
    whole = [str(helm.HELM.path), *command, str(CHART), "--values", str(file), "--kube-version", KUBERNETES]
    return subprocess.run(whole, capture_output=True, text=True, timeout=60, check=False, env=os.environ | homes)


def render(folder: Path, name: str) -> str:
    """Return the file of these values."""
    done = run_on_chart(folder, ALL[name], "template", "live", "--namespace", "avatars")
    assert done.returncode == 0, done.stderr
    return f"{seal()}\n{done.stdout}"


@pytest.fixture(scope="module")
def run_helm(tmp_path_factory: pytest.TempPathFactory) -> Helm:
    helm.HELM.build()
    folder = tmp_path_factory.mktemp("helm")
    return lambda values, *command: run_on_chart(folder, values, *command)


@pytest.mark.parametrize("name", ALL)
def test_the_chart_lints(run_helm: Helm, name: str) -> None:
    linted = run_helm(ALL[name], "lint", "--strict")
    assert linted.returncode == 0, linted.stdout + linted.stderr


@pytest.mark.parametrize("name", RENDERED)
def test_the_chart_renders_what_the_files_say(run_helm: Helm, tmp_path: Path, name: str) -> None:
    assert render(tmp_path, name) == file_of(name).read_text()


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"publicUrl": ""}, "publicUrl"),
        ({"publicUrl": "avatars.example.com"}, "publicUrl"),
        ({"s3": {"url": "https://avatars"}}, "url"),
        ({"server": {"replicas": 0}}, "replicas"),
        ({"server": {"replica": 2}}, "replica"),
        ({"server": {"settings": {"VISAVIS_DATABASE_URL": "postgresql://in/the/open"}}}, "VISAVIS_DATABASE_URL"),
        ({"server": {"settings": {"VISAVIS_DRAIN_S": "60"}}}, "settings"),
        ({"server": {"settings": {"PATH": "/"}}}, "settings"),
        ({"server": {"disruptionBudget": {"minAvailable": 1, "maxUnavailable": 1}}}, "disruptionBudget"),
        ({"stage": {"network": "bridge"}}, "network"),
        ({"stage": {"network": "nodePort"}}, "mediaPort"),
        ({"stage": {"processes": 0}}, "processes"),
        ({"stage": {"drainSeconds": 1.5}}, "drainSeconds"),
        ({"stage": {"network": "nodePort", "mediaPort": 32760, "replicas": 3}}, "32767"),
        ({"autoscaler": {"enabled": True, "minReplicas": 5, "maxReplicas": 2}}, "minReplicas"),
        ({"autoscaler": {"takenShare": 70}}, "takenShare"),
        ({"ingress": {"enabled": True}}, "host"),
        ({"serviceMonitor": {"enabled": True}}, "VISAVIS_METRICS_TOKEN"),
    ],
)
def test_values_that_cannot_work_are_refused_by_name(run_helm: Helm, wrong: Values, named: str) -> None:
    refused = run_helm(SMALLEST | wrong, "template", "live")
    assert refused.returncode != 0
    assert named in refused.stderr, refused.stderr


def main() -> None:
    helm.HELM.build()
    with tempfile.TemporaryDirectory() as folder:
        for name in RENDERED:
            file_of(name).write_text(render(Path(folder), name))


if __name__ == "__main__":
    main()
