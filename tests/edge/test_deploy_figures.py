"""The dashboard, the alerts and the documentation speak of figures that there are, by labels that these have."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.docs.page import bare, codes, page, tables
from tests.fixtures.gateway import RunningGateway
from trunkline_server.core.figures import Family

DEPLOY = Path(__file__).parents[2] / "deploy"
DASHBOARD, ALERTS = DEPLOY / "grafana" / "trunkline.json", DEPLOY / "prometheus" / "alerts.yml"
SCALING = DEPLOY / "kubernetes" / "horizontalpodautoscaler.yaml"
FROM_SCRAPE = {"job", "instance", "le"}
_METRIC = re.compile(r"\b(trunkline_\w+)(?:\{([^}]*)\})?")
_BY = re.compile(r"\bby \(([^)]*)\)")


def asked() -> Iterator[str]:
    """Every expression."""
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        yield from (target["expr"] for target in panel["targets"])
    yield from re.findall(r"^ +expr: (.+)$", ALERTS.read_text(), re.MULTILINE)


@pytest.fixture
async def families(gateway: RunningGateway) -> dict[str, Family]:
    """All that a gateway tells, by name."""
    return {family.name: family for family in await gateway.house.page.families()}


def spelled(family: Family) -> set[str]:
    """The names that its samples have."""
    parts = ("_bucket", "_sum", "_count") if family.kind == "histogram" else ("",)
    return {family.name + part for part in parts}


def test_there_is_enough_to_look_at() -> None:
    assert len(list(asked())) > 25
    assert len(re.findall(r"- alert: Trunkline\w+", ALERTS.read_text())) > 8


def test_every_expression_is_about_figures_that_there_are(families: dict[str, Family]) -> None:
    known = {name: family for family in families.values() for name in spelled(family)}
    for expression in asked():
        used = _METRIC.findall(expression)
        assert used or "up{" in expression, expression
        assert {name for name, _ in used} <= set(known), expression
        for name, selectors in used:
            chosen = set(re.findall(r"(\w+)(?:=~|!~|!=|=)", selectors))
            assert chosen <= FROM_SCRAPE | set(known[name].labels), expression
        labels = {label for name, _ in used for label in known[name].labels}
        grouped = {each.strip() for by in _BY.findall(expression) for each in by.split(",")}
        assert grouped <= FROM_SCRAPE | labels, expression


def test_it_is_scaled_by_figures_that_there_are(families: dict[str, Family]) -> None:
    metrics = yaml.safe_load(SCALING.read_text())["spec"]["metrics"]
    asked_for = {each["pods"]["metric"]["name"] for each in metrics if each["type"] == "Pods"}
    assert asked_for == {"trunkline_live_calls", "trunkline_loop_lag_seconds"}
    assert asked_for <= {name for name, family in families.items() if family.kind == "gauge"}


def test_every_figure_is_documented_with_its_labels(families: dict[str, Family]) -> None:
    rows = {bare(row[0]): (codes(row[1]), row[2]) for row in tables(page("observability.md"), "metric")}
    assert rows == {name: (list(each.labels), each.help) for name, each in families.items()}


def test_names_are_as_prometheus_wants_them(families: dict[str, Family]) -> None:
    for name, family in families.items():
        assert name.endswith("_total") == (family.kind == "counter"), name
        assert not family.help.endswith(" ."), name


def test_the_alerts_are_in_the_documentation(families: dict[str, Family]) -> None:
    named = re.findall(r"- alert: (Trunkline\w+)", ALERTS.read_text())
    assert [bare(row[0]) for row in tables(page("observability.md"), "alert")] == named
