"""
Prometheus accepts the rules; every alert fires for its fault, is silent without it, and tells what to do.
"""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "deploy/prometheus"
RULES = sorted((PROMETHEUS / "rules").glob("*.yaml"))
TESTS = sorted((PROMETHEUS / "tests").glob("*.yaml"))
SERVICES = {"conversations", "matcher", "observer", "reasoner", "verifier"}

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool, which is the judge of rules, is not installed"
)


def yaml(file):
    return YAML(typ="safe", pure=True).load(file.read_text(encoding="utf-8"))


ALERTS = {
    rule["alert"]: rule
    for file in RULES
    for group in yaml(file)["groups"]
    for rule in group["rules"]
    if "alert" in rule
}


def promtool(*arguments):
    return subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, check=False)


@needs_promtool
def test_prometheus_accepts_the_configuration_and_the_rules():
    done = promtool("check", "config", PROMETHEUS / "prometheus.yml")

    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(RULES)} rule files found" in done.stdout


@needs_promtool
@pytest.mark.parametrize("file", TESTS, ids=lambda file: file.stem)
def test_alerts_fire_for_their_faults_only(file):
    done = promtool("test", "rules", file)

    assert done.returncode == 0, done.stdout + done.stderr


def judged():
    """(alert, whether it is expected) of every assertion of the rules' tests."""
    for file in TESTS:
        for group in yaml(file)["tests"]:
            for test in group["alert_rule_test"]:
                yield test["alertname"], bool(test.get("exp_alerts"))


@pytest.mark.parametrize("alert", ALERTS)
def test_every_alert_is_seen_to_fire_and_to_be_silent(alert):
    assert {expected for name, expected in judged() if name == alert} == {True, False}


@pytest.mark.parametrize("alert", ALERTS)
def test_every_alert_is_silent_on_the_day_on_which_all_is_well(alert):
    [well] = [group for group in yaml(PROMETHEUS / "tests/rules_test.yaml")["tests"] if group["name"] == "all is well"]

    assert alert in {test["alertname"] for test in well["alert_rule_test"] if not test.get("exp_alerts")}


@pytest.mark.parametrize("alert", ALERTS)
def test_every_alert_says_how_urgent_it_is_and_where_its_remedy_stands(alert):
    rule = ALERTS[alert]
    headings = re.findall(r"^#+ (\w+)$", (ROOT / "docs/operations.md").read_text(encoding="utf-8"), re.MULTILINE)

    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert rule["annotations"]["summary"]
    assert rule["annotations"]["runbook"] == f"docs/operations.md#{alert.lower()}"
    assert alert in headings


def test_every_service_is_scraped_under_its_own_name():
    [job] = yaml(PROMETHEUS / "prometheus.yml")["scrape_configs"]
    [discovery] = job["dns_sd_configs"]

    assert set(discovery["names"]) == SERVICES | {"heartbeat"}
    assert discovery["port"] == 9464
    assert job["relabel_configs"] == [{"source_labels": ["__meta_dns_name"], "target_label": "job"}]
