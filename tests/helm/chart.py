"""The chart, values for it, and the files of what it renders with them: they are committed, so that whoever has no helm
looks at them, and the tests do.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy" / "helm" / "visavis"
FOLDER = Path(__file__).parent / "rendered"
KUBERNETES = "1.36"  # whose schemas what is rendered is held against

Values = dict[str, Any]
SMALLEST: Values = {"publicUrl": "https://avatars.example.com", "s3": {"url": "s3://avatars/of/visavis"}}
NODE_PORTS: Values = SMALLEST | {
    "stage": {"network": "nodePort", "mediaPort": 30100, "processes": 2, "replicas": 3, "labels": {"region": "eu"}}
}
AUTOSCALED: Values = SMALLEST | {"autoscaler": {"enabled": True, "minReplicas": 1, "maxReplicas": 40}}
EVERYTHING: Values = {
    **SMALLEST,
    "s3": {"url": "s3://avatars", "endpoint": "https://s3.example.com", "region": "eu-central-1"},
    "image": {"repository": "registry.example.com/visavis", "tag": "1.2.3", "pullPolicy": "Always"},
    "imagePullSecrets": [{"name": "registry"}],
    "podSecurityContext": {"runAsUser": None},
    "server": {
        "replicas": 3,
        "secretFiles": {"VISAVIS_ICE_SERVERS": "ice-servers", "VISAVIS_METRICS_TOKEN": "metrics-token"},
        "settings": {"VISAVIS_SESSIONS_KEPT_DAYS": "90"},
        "trustedProxies": ["10.0.0.0/8"],
        "serviceAccountName": "avatars",
        "drainSeconds": 40,
        "preStopSeconds": 20,
        "nodeSelector": {"kubernetes.io/arch": "amd64"},
        "tolerations": [{"key": "web", "operator": "Exists"}],
        "annotations": {"example.com/team": "faces"},
        "disruptionBudget": {"minAvailable": 2},
    },
    "stage": {
        "network": "nodePort",
        "mediaPort": 31000,
        "viewerAddresses": ["$(NODE_NAME).media.example.com"],
        "settings": {"VISAVIS_ADMISSION_SHARE": "0.7"},
        "drainSeconds": 600,
        "nodeSelector": {"faces": "yes"},
        "annotations": {"example.com/team": "faces"},
    },
    "autoscaler": {"enabled": True, "minReplicas": 2, "maxReplicas": 5, "takenShare": 0.65},
    "ingress": {"enabled": True, "className": "nginx", "host": "avatars.example.com", "tlsSecretName": "avatars-tls"},
    "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
}
ALL = {"smallest": SMALLEST, "node ports": NODE_PORTS, "autoscaled": AUTOSCALED, "everything": EVERYTHING}
RENDERED = ("smallest", "node ports", "everything")  # those that are kept


def file_of(name: str) -> Path:
    return FOLDER / f"{name.replace(' ', '-')}.yaml"


def seal() -> str:
    """Return the first line of each file: a digest of the chart and of the values."""
    digest = hashlib.sha256(json.dumps(ALL, sort_keys=True).encode())
    for path in sorted(path for path in CHART.rglob("*") if path.is_file()):
        digest.update(f"{path.relative_to(CHART)} {hashlib.sha256(path.read_bytes()).hexdigest()}".encode())
    return f"# Rendered by tests/helm/render.py from what has the digest {digest.hexdigest()}."
