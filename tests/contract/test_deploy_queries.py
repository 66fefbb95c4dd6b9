"""
Every query that is shipped (rules, dashboards, autoscaling) asks for metrics that exist, by labels that they have.
"""

import importlib
import json
import re
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from ruamel.yaml import YAML

from services.conversations.metrics import ConversationsMetrics
from shared.events.topics import TOPICS
from shared.stage.metrics import StageMetrics
from shared.telemetry.catalogue import CATALOGUE, LABELS

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
RULES = sorted((DEPLOY / "prometheus/rules").glob("*.yaml"))
DASHBOARDS = sorted((DEPLOY / "grafana/dashboards").glob("*.json"))
SCALED = sorted((DEPLOY / "k8s/components/autoscaling").glob("*.yaml"))
SERVICES = {"conversations", "matcher", "observer", "reasoner", "verifier"}

OF_THE_TARGET = {"job", "instance"}
OF_RULES = {"sli"}
SERIES = re.compile(r"(?<![:\w$])((?:holdfast|gen_ai|messaging)_\w+|up)\b(?!:)(?:\{([^}]*)\})?")
MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')
GROUPING = re.compile(r"\b(?:by|on|without|ignoring|group_left|group_right)\s*\(([^)]*)\)")
RECORDED = re.compile(r"\bholdfast:[\w:]+")
CONSTANT = re.compile(r"vector\([\d.e]+\)")
"""A budget."""


def yaml(file):
    return YAML(typ="safe", pure=True).load(file.read_text(encoding="utf-8"))


def rules():
    return [rule for file in RULES for group in yaml(file)["groups"] for rule in group["rules"]]


def queries():
    """Every query, with where it stands."""
    for rule in rules():
        yield rule.get("alert") or rule["record"], rule["expr"]
    for file in DASHBOARDS:
        board = json.loads(file.read_text(encoding="utf-8"))
        for panel in board["panels"]:
            for target in panel.get("targets", ()):
                yield f"{file.name}: {panel['title']}", target["expr"]
    for file in SCALED:
        document = yaml(file)
        for trigger in document.get("spec", {}).get("triggers", ()):
            if trigger["type"] == "prometheus":
                yield file.name, trigger["metadata"]["query"]


QUERIES = [pytest.param(query, id=f"{number} {where}") for number, (where, query) in enumerate(queries())]
RECORDS = {rule["record"] for rule in rules() if "record" in rule}


def described(name):
    """The catalogue's entry of a series, and the labels of the series; None where there is no such series."""
    if name == "up":
        return OF_THE_TARGET
    base, _, suffix = name.rpartition("_")
    if name in CATALOGUE and CATALOGUE[name].kind != "histogram":
        return {*CATALOGUE[name].labels, *OF_THE_TARGET}
    if suffix in {"bucket", "sum", "count"} and base in CATALOGUE and CATALOGUE[base].kind == "histogram":
        return {*CATALOGUE[base].labels, *OF_THE_TARGET, *({"le"} if suffix == "bucket" else ())}
    return None


def test_there_are_queries_of_every_kind():
    assert (len(RULES), len(DASHBOARDS), len(SCALED)) == (2, 3, 5)
    assert len(QUERIES) > 100


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_asks_for_series_that_exist_by_labels_that_they_have(query):
    bare = GROUPING.sub("", query)
    found = SERIES.findall(bare)

    assert found or RECORDED.search(query) or CONSTANT.fullmatch(query), "a query of nothing"
    for name, selector in found:
        labels = described(name)
        assert labels is not None, f"{name} is not in the catalogue"
        assert {label for label, _, _ in MATCHER.findall(selector)} <= labels, name


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_groups_by_labels_that_its_series_have(query):
    grouping = {label.strip() for held in GROUPING.findall(query) for label in held.split(",") if label.strip()}
    series = SERIES.findall(GROUPING.sub("", query))
    held = set().union(*(described(name) or set() for name, _ in series))
    held |= OF_RULES if RECORDED.search(query) else set()

    assert grouping <= held


@pytest.mark.parametrize("query", QUERIES)
def test_what_a_query_takes_from_rules_is_recorded(query):
    assert set(RECORDED.findall(query)) <= RECORDS


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_names_services_and_topics_that_exist(query):
    for _, selector in SERIES.findall(query):
        for label, operator, value in MATCHER.findall(selector):
            if label in {"stage", "job", "messaging_consumer_group_name"} and operator in {"=", "=~"}:
                assert set(value.split("|")) <= SERVICES
            if label == "messaging_destination_name":
                assert value in TOPICS


def bounds():
    """The upper bounds of every histogram that a query picks a bucket of."""
    registry = CollectorRegistry()
    StageMetrics(registry, "matcher")
    ConversationsMetrics(registry)
    return {metric.name: {s.labels["le"] for s in metric.samples if "le" in s.labels} for metric in registry.collect()}


@pytest.mark.parametrize("query", [p for p in QUERIES if re.search(r'\ble="', p.values[0])])
def test_a_bucket_that_is_picked_exists(query):
    for name, selector in SERIES.findall(query):
        for label, _, value in MATCHER.findall(selector):
            if label == "le":
                assert value in bounds()[name.removesuffix("_bucket")]


@pytest.mark.parametrize(
    ("label", "metric", "module", "words"),
    [
        ("outcome", "holdfast_event_outcomes_total", "shared.events.turns", "Outcome"),
        ("verdict", "holdfast_verification_verdicts_total", "shared.events.turns", "Verdict"),
    ],
)
def test_words_of_the_contract_are_spelt_as_there(label, metric, module, words):
    known = {word.value for word in getattr(importlib.import_module(module), words)}
    for parameter in QUERIES:
        for name, selector in SERIES.findall(parameter.values[0]):
            if name == metric:
                used = {value for key, _, value in MATCHER.findall(selector) if key == label}
                assert used <= known


def test_every_metric_is_watched_somewhere():
    """A metric that no rule and no panel shows is one that nobody would look at."""
    shown = {
        next((base for base in (name, name.rpartition("_")[0]) if base in CATALOGUE), name)
        for parameter in QUERIES
        for name, _ in SERIES.findall(parameter.values[0])
    }

    assert sorted(CATALOGUE.keys() - shown) == []


@pytest.mark.parametrize("file", DASHBOARDS, ids=lambda file: file.stem)
def test_a_dashboard_is_stable_and_explains_itself(file):
    board = json.loads(file.read_text(encoding="utf-8"))
    panels = [panel for panel in board["panels"] if panel["type"] != "row"]

    assert board["uid"] == f"holdfast-{file.stem}"
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    for panel in panels:
        assert panel["description"], panel["title"]
        assert panel["datasource"]["uid"] == "${datasource}", panel["title"]
        for target in panel["targets"]:
            legend = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            assert legend <= LABELS.keys() | OF_THE_TARGET, panel["title"]


@pytest.mark.parametrize("file", DASHBOARDS, ids=lambda file: file.stem)
def test_the_panels_of_a_dashboard_do_not_cover_each_other(file):
    taken = set()
    for panel in json.loads(file.read_text(encoding="utf-8"))["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert place["x"] + place["w"] <= 24
        assert taken.isdisjoint(cells), panel["title"]
        taken |= cells


def test_the_provisioned_data_source_is_the_dashboards_default():
    [source] = yaml(DEPLOY / "grafana/provisioning/datasources/prometheus.yaml")["datasources"]
    for file in DASHBOARDS:
        variables = json.loads(file.read_text(encoding="utf-8"))["templating"]["list"]
        assert variables[0]["current"]["value"] == source["uid"]
