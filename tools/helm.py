"""The program `helm`, for tests. `python -m tools.helm` builds it once, from its Go module."""

from __future__ import annotations

from tools.go_program import GoProgram

HELM = GoProgram("helm.sh/helm/v3/cmd/helm", "v3.19.0", "helm")

if __name__ == "__main__":
    HELM.build()
