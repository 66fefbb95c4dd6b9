"""The catalogue of metrics is what the services export, and what rules and dashboards may speak of."""

import importlib
import inspect
import pkgutil
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

import services
import shared
from shared.llm.metrics import LlmMetrics
from shared.playbook.metrics import FollowerMetrics
from shared.stage.ledger_metrics import LedgerMetrics
from shared.stage.metrics import StageMetrics
from shared.telemetry.catalogue import CATALOGUE, LABELS
from shared.telemetry.registry import build_info, new_registry

ROOT = Path(__file__).parents[2]
SUFFIXES = re.compile(r"_(bucket|sum|count|created)$")
NAMED = re.compile(r"\b(?:holdfast|gen_ai|messaging)_[a-z0-9_]+\b")


def metrics_classes():
    for package in (services, shared):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if module.name.endswith("metrics"):
                loaded = importlib.import_module(module.name)
                yield from (
                    held
                    for name, held in vars(loaded).items()
                    if inspect.isclass(held) and name.endswith("Metrics") and held.__module__ == module.name
                )


CLASSES = sorted(metrics_classes(), key=lambda held: held.__module__)


def exported(registry):
    """(exported name, type, labels) of every metric in *registry*."""
    for collector in registry._collector_to_names:
        suffix = {"counter": "_total", "info": "_info"}.get(collector._type, "")
        yield f"{collector._name}{suffix}", collector._type, tuple(collector._labelnames)


def instance(held, registry):
    return held(registry, "matcher") if "stage" in inspect.signature(held).parameters else held(registry)


@pytest.fixture(scope="module")
def everything():
    found = {}
    for held in CLASSES:
        registry = CollectorRegistry()
        instance(held, registry)
        found |= {name: (kind, labels) for name, kind, labels in exported(registry)}
    registry = CollectorRegistry()
    build_info(registry, "matcher")
    [(name, kind, _)] = exported(registry)
    return found | {name: (kind, CATALOGUE[name].labels)}


def test_there_are_metrics_classes_to_check():
    assert {held.__name__ for held in CLASSES} >= {"StageMetrics", "LlmMetrics"}


def test_what_is_exported_stands_in_the_catalogue_and_nothing_else_does(everything):
    listed = {name: (metric.kind, metric.labels) for name, metric in CATALOGUE.items()}

    assert {name: listed.get(name) for name in everything} == everything
    assert sorted(listed.keys() - everything.keys()) == [], "in the catalogue, exported by nobody"


def test_every_label_is_bounded_by_something():
    assert {label for metric in CATALOGUE.values() for label in metric.labels} == LABELS.keys()


def test_build_info_has_the_labels_of_the_catalogue():
    registry = CollectorRegistry()
    build_info(registry, "matcher")
    [family] = registry.collect()

    assert family.samples[0].labels.keys() == set(CATALOGUE["holdfast_build_info"].labels)


@pytest.mark.parametrize("metric", CATALOGUE.values(), ids=lambda metric: metric.name)
def test_a_name_keeps_to_the_conventions(metric):
    """Prometheus' naming: one prefix, base units, `_total` on counters alone."""
    assert re.fullmatch(r"(holdfast|gen_ai|messaging)(_[a-z0-9]+)+", metric.name)
    assert metric.name.endswith("_total") == (metric.kind == "counter")
    assert not re.search(r"_(ms|milliseconds|minutes|percent|kb)(_|$)", metric.name)
    assert metric.meaning.endswith(".")
    assert metric.remedy.endswith(".")


@pytest.mark.parametrize("held", [c for c in CLASSES if c.__module__.startswith("services.")], ids=lambda c: c.__name__)
def test_one_process_can_hold_all_its_metrics_and_promtool_accepts_them(held):
    registry = new_registry("matcher")
    runtime = LedgerMetrics if held.__module__.startswith("services.conversations") else StageMetrics
    runtime(registry, "matcher")
    for other in (LlmMetrics, FollowerMetrics, held):
        instance(other, registry)
    text = generate_latest(registry)

    assert text
    if (promtool := shutil.which("promtool")) is None:
        pytest.skip("promtool is not installed (Debian: apt-get install prometheus)")
    checked = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, check=False)
    ours = [line for line in (checked.stdout + checked.stderr).decode().splitlines() if NAMED.match(line)]
    assert ours == []
    assert checked.returncode in {0, 3}, "3: it has remarks, here on the client library's own metrics alone"


def unknown_names(text):
    """The names of metrics in *text* that the catalogue does not have."""
    known = CATALOGUE.keys() | LABELS.keys()
    return sorted({name for name in NAMED.findall(text) if SUFFIXES.sub("", name) not in known and name not in known})


def test_an_unknown_name_in_a_rule_is_found():
    assert unknown_names("rate(holdfast_drafts_total[5m]) / holdfast_draft_facts_bucket") == []
    assert unknown_names("rate(holdfast_drats_total[5m])") == ["holdfast_drats_total"]


def test_rules_and_dashboards_speak_of_metrics_that_exist():
    files = [
        file
        for folder in ("prometheus", "grafana", "k8s")
        for file in (ROOT / "deploy" / folder).rglob("*")
        if file.suffix in {".yaml", ".yml", ".json"}
    ]

    assert {str(f.relative_to(ROOT)): names for f in files if (names := unknown_names(f.read_text()))} == {}


def test_the_page_of_metrics_is_the_catalogue(generated):
    rows = [
        f"| `{m.name}` | {m.kind} | {', '.join(f'`{label}`' for label in m.labels)} | {m.meaning} | {m.remedy} |"
        for m in CATALOGUE.values()
    ]
    labels = [f"| `{label}` | {bound} |" for label, bound in sorted(LABELS.items())]
    lines = [
        "# Metrics",
        "",
        "Every process serves them at `/metrics`, beside `process_*` and `python_gc_*`.",
        "Generated by `make generate` from shared/telemetry/catalogue.py.",
        "",
        "| Name | Type | Labels | Meaning | When it looks wrong |",
        "|---|---|---|---|---|",
        *rows,
        "",
        "## Labels",
        "",
        "No label is a tenant, a conversation, an agent or an id.",
        "",
        "| Label | Values |",
        "|---|---|",
        *labels,
        "",
    ]

    generated("docs/metrics.md", "\n".join(lines))
