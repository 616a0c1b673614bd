"""Alerts and dashboard: well formed, and only of metrics and labels that there are."""

import json
import re
import subprocess
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from adyton.server.telemetry.counters import AREAS, CLASSES
from adyton.server.telemetry.table import METRICS

DEPLOY = Path(__file__).parents[2] / "deploy"
ALERTS = DEPLOY / "prometheus" / "alerts.yaml"
NAME = re.compile(r"\b(?:adyton|process)_[a-z_]+\b")
FROM_PROMETHEUS = {"job", "instance", "le"}


def series():
    """Names that a metric of the table is queried by, with their labels."""
    found = {}
    for metric in METRICS:
        ends = ("_bucket", "_sum", "_count") if metric.kind == "histogram" else ("",)
        for end in ends:
            found[metric.name + end] = set(metric.labels) | FROM_PROMETHEUS
    return found


def alerts():
    document = YAML(typ="safe").load(ALERTS)
    return {rule["alert"]: rule for group in document["groups"] for rule in group["rules"]}


def dashboard():
    return json.loads((DEPLOY / "grafana" / "adyton.json").read_text())


def expressions():
    for name, rule in alerts().items():
        yield name, rule["expr"]
    for panel in dashboard()["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]


@pytest.mark.parametrize(("where", "expression"), list(expressions()))
def test_every_metric_and_label_that_is_used_exists(where, expression):
    """In each alert and each panel."""
    known = series()
    names = set(NAME.findall(re.sub(r'"[^"]*"', '""', expression)))
    assert names <= set(known), where
    labels = FROM_PROMETHEUS.union(*(known[name] for name in names))
    used = set(re.findall(r"[{,]\s*(\w+)\s*[=!]~?", expression))
    for group in re.findall(r"by \(([^)]*)\)", expression):
        used |= {label.strip() for label in group.split(",")}
    assert used <= labels, where
    for label, among in (("area", AREAS), ("status", CLASSES)):
        for value in re.findall(label + r'="([^"]*)"', expression):
            assert value in among, where


def test_the_check_would_find_a_metric_that_is_not_there():
    """A misspelt name is not among the series."""
    assert "adyton_sealed" in series()
    assert "adyton_seald" not in series()
    assert "adyton_commit_duration_seconds" not in series(), "only its buckets, sum and count"


def test_alerts_tell_what_is_wrong_in_plain_words():
    """Each has a severity and a summary."""
    for name, rule in alerts().items():
        assert rule["labels"]["severity"] in {"critical", "warning"}, name
        assert rule["annotations"]["summary"].endswith("."), name


def test_every_metric_of_ours_is_on_the_dashboard():
    """No metric is kept that nobody sees, but the version."""
    shown = " ".join(expression for _, expression in expressions())
    for metric in METRICS:
        if metric.name.startswith("adyton_") and metric.name != "adyton_build_info":
            assert metric.name in shown, metric.name


def test_the_panels_do_not_overlap():
    """Each has a place of its own on a grid of 24 columns."""
    taken = set()
    ids = set()
    for panel in dashboard()["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
        ids.add(panel["id"])
    assert len(ids) == len(dashboard()["panels"])


def test_prometheus_takes_the_rules_and_they_fire_when_they_should(promtool):
    """Promtool checks them, and plays a failure of each important kind."""
    for arguments in (("check", "rules", "alerts.yaml"), ("test", "rules", "alerts_test.yaml")):
        done = subprocess.run(
            [promtool, *arguments], cwd=ALERTS.parent, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_takes_the_scrape_configuration(promtool, tmp_path):
    """As a whole configuration, but for the files that it names."""
    text = (DEPLOY / "prometheus" / "scrape.yaml").read_text()
    for name in ("adyton-ca.pem", "adyton-token"):
        (tmp_path / name).write_text("x")
    text = text.replace("/etc/prometheus", str(tmp_path))
    (tmp_path / "prometheus.yml").write_text(text)
    done = subprocess.run(
        [promtool, "check", "config", "--syntax-only", tmp_path / "prometheus.yml"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
