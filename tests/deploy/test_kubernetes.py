"""`deploy/kubernetes` as a cluster would read it: valid, whole, and in step with the settings and the console."""

from __future__ import annotations

from typing import Any, Final

import kubernetes_validate
import pytest

from tests.deploy.base import FOLDER, NOT_KUBERNETES_OWN, VERSIONS, manifests
from trunkline_server import config
from trunkline_server.cli import COMMANDS
from trunkline_server.door.server import LIVENESS, READINESS

SETTINGS: Final = config.load({"TRUNKLINE_CONFIG": str(FOLDER / "trunkline.toml")})


def pods() -> list[Any]:
    started = [each for each in manifests().values() if each["kind"] in ("Deployment", "Job")]
    return [pytest.param(each["spec"]["template"]["spec"], id=each["metadata"]["name"]) for each in started]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", [name for name, each in manifests().items() if each["kind"] not in NOT_KUBERNETES_OWN])
def test_it_is_what_kubernetes_knows(name: str, version: str) -> None:
    kubernetes_validate.validate(manifests()[name], version, strict=True)


def test_everything_is_applied_but_what_is_applied_before() -> None:
    applied = manifests()["kustomization.yaml"]["resources"]
    assert {*applied, "kustomization.yaml", "migrate.yaml"} == set(manifests())


@pytest.mark.parametrize("pod", pods())
def test_the_console_has_what_is_started(pod: Any) -> None:
    [container] = pod["containers"]
    assert set(container["args"]) <= set(COMMANDS)


@pytest.mark.parametrize("pod", pods())
def test_nothing_has_rights_that_it_does_not_need(pod: Any) -> None:
    [container] = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


@pytest.mark.parametrize("name", ["deployment.yaml", "worker.yaml"])
def test_a_drain_is_never_cut_short(name: str) -> None:
    grace_s = manifests()[name]["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    assert grace_s > SETTINGS.grpc.drain_delay_s + SETTINGS.grpc.drain_grace_s + 5


def test_probes_ask_for_what_is_served() -> None:
    [container] = manifests()["deployment.yaml"]["spec"]["template"]["spec"]["containers"]
    ports = {each["name"]: each["containerPort"] for each in container["ports"]}
    assert ports["grpc"] == int(SETTINGS.grpc.address.rpartition(":")[2])
    assert ports["http"] == int(SETTINGS.http.address.rpartition(":")[2])
    for probe, service in (("startupProbe", LIVENESS), ("livenessProbe", LIVENESS), ("readinessProbe", READINESS)):
        asked = container[probe]["grpc"]
        assert (asked["port"], asked.get("service", LIVENESS)) == (ports["grpc"], service)


def test_workers_show_themselves() -> None:
    found = manifests()
    template = found["worker.yaml"]["spec"]["template"]
    [container] = template["spec"]["containers"]
    [port] = container["ports"]
    assert SETTINGS.jobs.http_address == f"0.0.0.0:{port['containerPort']}"
    for probe in ("startupProbe", "livenessProbe"):
        assert container[probe]["httpGet"] == {"path": "/healthz", "port": port["name"]}
    service = found["workers.yaml"]["spec"]
    assert service["selector"].items() <= template["metadata"]["labels"].items()
    assert [each["targetPort"] for each in service["ports"]] == [
        found["servicemonitor.yaml"]["spec"]["endpoints"][0]["port"]
    ]


def test_jobs_are_done_by_the_workers() -> None:
    assert not SETTINGS.jobs.worker
    assert SETTINGS.limits.replicas_min == manifests()["horizontalpodautoscaler.yaml"]["spec"]["minReplicas"]
    assert SETTINGS.limits.replicas_min == manifests()["deployment.yaml"]["spec"]["replicas"]


def test_services_lead_to_the_gateways() -> None:
    found = manifests()
    labels = found["deployment.yaml"]["spec"]["template"]["metadata"]["labels"]
    names = {each["name"] for each in found["deployment.yaml"]["spec"]["template"]["spec"]["containers"][0]["ports"]}
    for name in ("service.yaml", "headless.yaml"):
        spec = found[name]["spec"]
        assert spec["selector"].items() <= labels.items()
        assert {each["targetPort"] for each in spec["ports"]} <= names
