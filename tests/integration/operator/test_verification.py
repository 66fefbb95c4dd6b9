"""
The verifier's rates, set and measured, through real processes and the embedded broker: smaller than
`holdfast lab verification`.
"""

import json
from importlib.resources import files
from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.operator.adapters.stack import Broker
from services.operator.cli import app
from services.operator.evaluation.kept import read_results
from services.operator.settings import OperatorSettings
from services.operator.verification import lab
from services.operator.verification.drafts import read_domains
from services.operator.verification.result import Result
from shared.settings import read_settings

SAMPLES = Path(str(files("services.operator"))) / "samples" / "verification"

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def settings(tmp_path):
    return read_settings(OperatorSettings, {"HOLDFAST_OPERATOR_FOLDER": str(tmp_path / "folder")})


@pytest.mark.parametrize(
    ("hallucination", "miss", "false_alarm"), [(0.0, 0.0, 0.0), (0.05, 0.0, 0.0), (0.2, 0.0, 0.0), (0.2, 0.4, 0.1)]
)
async def test_nothing_unsupported_leaves_but_what_the_verifier_is_set_to_miss(
    settings, hallucination, miss, false_alarm
):
    rates = {"hallucination": hallucination, "miss": miss, "false_alarm": false_alarm}
    trial = await lab.rehearsed(settings, **rates, turns=300, broker=Broker.EMBEDDED)
    assert trial.rates.claims > 100
    assert trial.unexplained == 0
    assert [one for one in trial.expected if not one.agrees] == []
    if not miss:
        assert trial.rates.residual.hits == 0


@pytest.mark.parametrize(("miss", "false_alarm"), [(0.0, 0.0), (0.4, 0.2)])
async def test_a_scripted_verifiers_rates_come_back(settings, miss, false_alarm):
    domains = read_domains(sorted(SAMPLES.glob("*.yaml")))
    trial = await lab.scripted(settings, domains, miss=miss, false_alarm=false_alarm, seed=1, broker=Broker.EMBEDDED)
    assert trial.holds
    assert (trial.rates.residual.hits > 0) is (miss > 0)


def test_labelled_drafts_are_verified_reported_and_not_asked_for_twice(tmp_path, monkeypatch):
    monkeypatch.setenv("HOLDFAST_OPERATOR_FOLDER", str(tmp_path / "folder"))
    kept, figures = tmp_path / "results.jsonl", tmp_path / "figures.json"
    arguments = ["evaluate", "verification", str(SAMPLES / "bank.yaml"), "--model", "scripted", "--variant", "two_step"]
    arguments += ["--variant", "joint", "--results", str(kept), "--json", str(figures)]
    first = CliRunner().invoke(app, arguments)
    assert first.exit_code == 0, first.output
    results = read_results(kept, Result)
    written = json.loads(figures.read_text())
    assert len(results) == 2 * 34
    assert written["rates"]["two_step"]["catches"]["share"] == pytest.approx(1.0)
    assert written["rates"]["two_step"]["omissions"]["share"] == pytest.approx(1.0)
    assert {ruled["decision"] for ruled in written["ship_rule"]["joint"]} <= {"ships", "undecided"}

    again = CliRunner().invoke(app, arguments)
    assert "68 kept" in " ".join(again.output.split())
    assert read_results(kept, Result) == results
