"""Reads `deploy/kubernetes`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import yaml

DEPLOY: Final = Path(__file__).parents[2] / "deploy"
FOLDER: Final = DEPLOY / "kubernetes"
VERSIONS: Final = ("1.30", "1.34")
NOT_KUBERNETES_OWN: Final = frozenset(("Kustomization", "ServiceMonitor"))


def manifests() -> dict[str, Any]:
    """What each file says."""
    return {path.name: yaml.safe_load(path.read_text("utf-8")) for path in sorted(FOLDER.glob("*.yaml"))}
