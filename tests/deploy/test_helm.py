"""`deploy/helm` says what `deploy/kubernetes` says; what it makes is valid, whatever is switched on or off."""

from __future__ import annotations

import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any, Final

import kubernetes_validate
import pytest
import yaml

from tests.deploy.base import DEPLOY, FOLDER, NOT_KUBERNETES_OWN, VERSIONS, manifests
from trunkline_server import config

CHART: Final = DEPLOY / "helm"
VALUES: Final = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))
HELM: Final = shutil.which("helm")
NAMES: Final = frozenset(
    ("labels", "matchLabels", "annotations", "selector", "podSelector", "image", "imagePullPolicy")
)
"""What is spelled otherwise by an installation that has a name of its own."""

needs_helm = pytest.mark.skipif(HELM is None, reason="helm is not on this machine")


def rendered(*values: str) -> list[Any]:
    """What a cluster would get."""
    sets = [part for each in values for part in ("--set", each)]
    command = [HELM or "helm", "template", "trunkline", str(CHART), "--namespace", "trunkline", *sets]
    told = subprocess.run(command, check=True, capture_output=True, timeout=60)
    return [each for each in yaml.safe_load_all(told.stdout) if each]


def bare(part: Any) -> Any:
    """A manifest's part without names."""
    if isinstance(part, dict):
        return {key: bare(value) for key, value in part.items() if key not in NAMES}
    return [bare(each) for each in part] if isinstance(part, list) else part


def specs(all_of_them: list[Any]) -> dict[tuple[str, str], Any]:
    return {(each["kind"], each["metadata"]["name"]): bare(each.get("spec")) for each in all_of_them}


def test_the_settings_are_the_same_and_fit_the_drain(tmp_path: Path) -> None:
    assert tomllib.loads(VALUES["settings"]) == tomllib.loads((FOLDER / "trunkline.toml").read_text("utf-8"))
    file = tmp_path / "trunkline.toml"
    file.write_text(VALUES["settings"], "utf-8")
    settings = config.load({"TRUNKLINE_CONFIG": str(file)})
    grpc = settings.grpc
    assert VALUES["terminationGracePeriodSeconds"] > grpc.drain_delay_s + grpc.drain_grace_s + 5
    assert VALUES["gateway"]["replicas"] == settings.limits.replicas_min


def test_the_chart_is_of_this_version() -> None:
    project = tomllib.loads((DEPLOY.parent / "pyproject.toml").read_text("utf-8"))["project"]
    assert yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))["appVersion"] == project["version"]


@needs_helm
def test_it_says_what_the_base_says() -> None:
    base = [each for each in manifests().values() if each["kind"] not in ("Kustomization", "Namespace")]
    chart = specs(rendered("serviceMonitor.enabled=true"))
    expected = specs(base)
    del expected["Deployment", "trunkline"]["replicas"]  # the autoscaler's
    assert {name: spec for name, spec in chart.items() if name[0] != "ConfigMap"} == expected


@needs_helm
@pytest.mark.parametrize("values", [(), ("autoscaling.enabled=false", "migrate.enabled=false", "worker.replicas=0")])
def test_what_it_makes_is_what_kubernetes_knows(values: tuple[str, ...]) -> None:
    for each in rendered(*values):
        for version in VERSIONS:
            if each["kind"] not in NOT_KUBERNETES_OWN:
                kubernetes_validate.validate(each, version, strict=True)


@needs_helm
def test_helm_finds_nothing_to_say() -> None:
    subprocess.run([HELM or "helm", "lint", "--strict", str(CHART)], check=True, capture_output=True, timeout=60)
