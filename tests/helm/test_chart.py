"""The Helm chart, as it was rendered last (render.py): Kubernetes takes it, and pods start, stop and are looked at as
servers and stages need it.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml  # type: ignore[import-untyped]

from tests.helm.chart import CHART, KUBERNETES, RENDERED, ROOT, file_of, seal
from visavis.server import STOP_WITHIN_S
from visavis.settings import Settings

PROCESSES_END_WITHIN_S = 5  # `StageProcesses.aclose`
MARGIN_S = 5
OF_OTHERS = {"ServiceMonitor"}  # kinds that are not Kubernetes' own

Object = dict[str, Any]
Rendered = Callable[[str], list[Object]]


@pytest.fixture(scope="module")
def rendered() -> Rendered:
    """Reads what the chart renders with the values of this name."""
    kept: dict[str, list[Object]] = {}

    def read(name: str) -> list[Object]:
        if name not in kept:
            kept[name] = [one for one in yaml.safe_load_all(file_of(name).read_text()) if one is not None]
        return kept[name]

    return read


def of_kind(objects: list[Object], kind: str) -> list[Object]:
    return [one for one in objects if one["kind"] == kind]


def pod_of(objects: list[Object], kind: str) -> tuple[Object, Object, dict[str, str]]:
    """Return the pod of a Deployment or a StatefulSet, its container, and the plain values of its variables."""
    (workload,) = of_kind(objects, kind)
    pod: Object = workload["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    return pod, container, {one["name"]: one["value"] for one in container["env"] if "value" in one}


@pytest.mark.parametrize("name", RENDERED)
def test_the_files_are_what_the_chart_renders(name: str) -> None:
    first, *_ = file_of(name).read_text().splitlines()
    assert first == seal(), "the chart has changed: .venv/bin/python -m tests.helm.render"


@pytest.mark.parametrize("name", RENDERED)
def test_kubernetes_takes_what_the_chart_renders(rendered: Rendered, name: str) -> None:
    objects = rendered(name)
    for one in objects:
        if one["kind"] not in OF_OTHERS:
            kubernetes_validate.validate(one, KUBERNETES, strict=True)
    names = [(one["kind"], one["metadata"]["name"]) for one in objects]
    assert len(names) == len(set(names))
    kinds = {"Deployment", "StatefulSet", "Service", "PodDisruptionBudget"}
    assert kinds <= {one["kind"] for one in objects}
    budgets = [one["spec"] for one in of_kind(objects, "PodDisruptionBudget")]
    assert [budget.get("maxUnavailable") for budget in budgets] == [None if name == "everything" else 1, 1]
    assert budgets[0].get("minAvailable") == (2 if name == "everything" else None)


@pytest.mark.parametrize("name", RENDERED)
def test_a_pod_has_time_to_stop(rendered: Rendered, name: str) -> None:
    pod, container, values = pod_of(rendered(name), "Deployment")
    _, waits_s = container["lifecycle"]["preStop"]["exec"]["command"]
    needs_s = float(waits_s) + float(values["VISAVIS_DRAIN_S"]) + STOP_WITHIN_S
    assert pod["terminationGracePeriodSeconds"] >= needs_s + MARGIN_S
    pod, _, values = pod_of(rendered(name), "StatefulSet")
    needs_s = float(values["VISAVIS_DRAIN_S"]) + PROCESSES_END_WITHIN_S
    assert pod["terminationGracePeriodSeconds"] >= needs_s + MARGIN_S


@pytest.mark.parametrize("name", RENDERED)
def test_no_probe_kills_what_is_merely_busy(rendered: Rendered, name: str) -> None:
    for kind in ("Deployment", "StatefulSet"):
        _, container, _ = pod_of(rendered(name), kind)
        alive = container["livenessProbe"]
        assert alive["timeoutSeconds"] >= 5 and alive["failureThreshold"] * alive["periodSeconds"] >= 60
        starts = container["startupProbe"]
        assert starts["failureThreshold"] * starts["periodSeconds"] >= Settings.model_fields["database_wait_s"].default
        if kind == "Deployment":
            assert alive["httpGet"]["path"] == starts["httpGet"]["path"] == "/healthz"
            assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
        ports = {port["name"] for port in container["ports"]}
        for probe in (alive, starts, container["readinessProbe"]):
            assert (probe.get("httpGet") or probe["tcpSocket"])["port"] in ports


@pytest.mark.parametrize("name", RENDERED)
def test_pods_run_as_any_user_of_group_0_and_write_their_volumes_alone(rendered: Rendered, name: str) -> None:
    for kind in ("Deployment", "StatefulSet"):
        pod, container, _ = pod_of(rendered(name), kind)
        user = pod["securityContext"]
        assert user["runAsNonRoot"] is True and (user["runAsGroup"], user["fsGroup"]) == (0, 0)
        assert user.get("runAsUser", 10001) == 10001 and ("runAsUser" in user) == (name != "everything")
        assert user["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        written = {one["mountPath"] for one in container["volumeMounts"] if not one.get("readOnly")}
        assert written == {"/data", "/tmp"}
        assert pod["automountServiceAccountToken"] is pod["enableServiceLinks"] is False
        for volume in pod["volumes"]:
            if "secret" in volume:
                assert volume["secret"]["defaultMode"] == 0o440


@pytest.mark.parametrize("name", RENDERED)
def test_servers_and_stages_take_their_settings(
    rendered: Rendered, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {
        "secret": "s" * 64,
        "database-url": "postgresql://visavis:x@db.example.org/visavis",
        "ice-servers": '[{"url": "turn:turn.example.org:3478", "secret": "x"}]',
        "metrics-token": "m" * 32,
    }
    for file, text in files.items():
        (tmp_path / file).write_text(text)
    fields = {"POD_IP": "10.1.2.3", "HOST_IP": "192.0.2.7", "NODE_NAME": "node-7", "POD_NAME": "live-visavis-stage-2"}
    for kind in ("Deployment", "StatefulSet"):
        _, container, values = pod_of(rendered(name), kind)
        names = [one["name"] for one in container["env"]]
        assert len(names) == len(set(names))
        with monkeypatch.context() as environment:
            for variable, value in values.items():
                for field, shown in fields.items():  # Kubernetes knows what stands before
                    if f"$({field})" in value:
                        assert names.index(field) < names.index(variable)
                    value = value.replace(f"$({field})", shown)
                environment.setenv(variable, value.replace("/run/secrets/visavis", str(tmp_path)))
            if kind == "Deployment":
                environment.setenv("VISAVIS_FLEET", "true")  # --stages none
            settings = Settings()
        ours = {one.removeprefix("VISAVIS_").removesuffix("_FILE").lower() for one in values if "VISAVIS_" in one}
        assert ours <= settings.model_fields_set
        if kind == "Deployment":
            assert settings.stage_source_url == "http://10.1.2.3:8000" and settings.s3_url is not None
            assert container["args"][-2:] == ["--stages", "none"]
        elif name in ("node ports", "everything"):
            assert settings.viewer_addresses[0] == "192.0.2.7"
        if kind == "StatefulSet" and name == "everything":
            assert settings.viewer_addresses[1] == "node-7.media.example.com"


def test_the_options_of_the_stage_are_those_of_the_command(rendered: Rendered) -> None:
    _, container, _ = pod_of(rendered("node ports"), "StatefulSet")
    assert container["args"][0] == "stage" and container["args"][-2:] == ["--label", "region=eu"]
    environment = os.environ | {"NO_COLOR": "1", "COLUMNS": "200"}
    command = [sys.executable, "-m", "visavis", "stage", "--help"]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, env=environment)
    options = {one for one in container["args"] if one.startswith("--")}
    assert options <= set(re.findall(r"--[a-z-]+", shown.stdout)), shown.stdout


def test_a_stage_on_its_nodes_network_has_a_port_of_each_kind_for_each_process_and_the_node_for_itself(
    rendered: Rendered,
) -> None:
    objects = rendered("smallest")
    pod, container, values = pod_of(objects, "StatefulSet")
    assert pod["hostNetwork"] is True and "command" not in container
    assert container["args"][container["args"].index("--address") + 1] == "$(HOST_IP)"
    udp = [port["containerPort"] for port in container["ports"] if port["protocol"] == "UDP"]
    tcp = [port["containerPort"] for port in container["ports"] if port["protocol"] == "TCP"]
    assert tcp == [8443, 8444, 8445, 8446] and udp == [20000, 20001, 20002, 20003]
    assert values["VISAVIS_MEDIA_PORTS"] == "20000-20003" and values["VISAVIS_STAGES"] == "4"
    (alone,) = pod["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert alone["topologyKey"] == "kubernetes.io/hostname"
    assert len(of_kind(objects, "Service")) == 2


@pytest.mark.parametrize(("name", "pods", "processes"), [("node ports", 3, 2), ("everything", 5, 4)])
def test_each_process_behind_node_ports_tells_viewers_the_port_that_leads_to_it(
    rendered: Rendered, name: str, pods: int, processes: int, tmp_path: Path
) -> None:
    objects = rendered(name)
    pod, container, values = pod_of(objects, "StatefulSet")
    assert "hostNetwork" not in pod
    services = [one for one in of_kind(objects, "Service") if one["spec"].get("type") == "NodePort"]
    assert len(services) == pods
    (tmp_path / "visavis").write_text('#!/bin/sh\necho "$VISAVIS_MEDIA_PORTS $1"\n')
    (tmp_path / "visavis").chmod(0o755)
    seen = set[int]()
    for number, service in enumerate(services):
        pod_name = f"live-visavis-stage-{number}"
        assert service["spec"]["selector"]["statefulset.kubernetes.io/pod-name"] == pod_name
        assert service["spec"]["externalTrafficPolicy"] == "Local"
        ports = service["spec"]["ports"]
        assert all(port["port"] == port["targetPort"] == port["nodePort"] for port in ports)
        opened = [port["nodePort"] for port in ports]
        assert len(opened) == processes and not seen & set(opened) and 30_000 <= opened[0] <= opened[-1] <= 32_767
        seen |= set(opened)
        told = values | {"POD_NAME": pod_name, "PATH": f"{tmp_path}:/usr/bin:/bin"}
        command = [*container["command"], *container["args"]]
        started = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True, env=told)
        assert started.stdout.split() == [f"{opened[0]}-{opened[-1]}", "stage"]


def test_the_autoscaler_alone_says_how_many_stages_there_are_and_takes_them_away_slowly(
    rendered: Rendered,
) -> None:
    (stages,) = of_kind(rendered("everything"), "StatefulSet")
    assert "replicas" not in stages["spec"]
    (scaler,) = of_kind(rendered("everything"), "HorizontalPodAutoscaler")
    assert scaler["spec"]["scaleTargetRef"]["name"] == "live-visavis-stage"
    (metric,) = scaler["spec"]["metrics"]
    assert metric["external"]["target"] == {"type": "Value", "value": "650m"}
    assert scaler["spec"]["behavior"]["scaleDown"]["stabilizationWindowSeconds"] == 600
    guide = (ROOT / "docs" / "howto" / "kubernetes.md").read_text()
    assert metric["external"]["metric"]["name"] in guide
    reference = (ROOT / "docs" / "reference" / "metrics.md").read_text()
    assert "visavis_fleet_cores" in guide and "visavis_fleet_cores" in reference


def test_every_pod_is_found_by_its_service_and_its_budget(rendered: Rendered) -> None:
    for name in RENDERED:
        objects = rendered(name)
        pods = [one["spec"]["template"]["metadata"]["labels"] for one in objects if "template" in one["spec"]]
        chosen = [one["spec"]["selector"] for one in of_kind(objects, "Service")]
        chosen += [one["spec"]["selector"]["matchLabels"] for one in of_kind(objects, "PodDisruptionBudget")]
        for selector in chosen:
            of_pods = {key: value for key, value in selector.items() if not key.startswith("statefulset.")}
            assert sum(of_pods.items() <= labels.items() for labels in pods) == 1


def test_the_charts_version_is_that_of_the_application() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert chart["appVersion"] == chart["version"] == version
