"""`holdfast plan` reads what it is given, refuses what it cannot mean, and says when a load cannot be carried."""

import json

import pytest
from typer.testing import CliRunner

from services.operator.cli import app


def planned(*arguments):
    return CliRunner().invoke(app, ["plan", *arguments])


def test_the_figures_of_a_load_are_told():
    done = planned("--rate", "50", "--price", "0.4/1.6", "--json")

    assert done.exit_code == 0
    need = json.loads(done.stdout)
    assert set(need["stages"]) == {"conversations", "matcher", "reasoner", "verifier"}
    assert need["requests_per_minute"] == pytest.approx(60 * 150 * 3)
    assert need["cost_per_1000_replies"] == pytest.approx(1_000 * (6_000 * 0.4 + 1_000 * 1.6) / 1e6)
    assert "processes" in planned("--rate", "50").output


def test_a_load_that_cannot_keep_its_deadline_ends_with_1():
    done = planned("--rate", "1", "--deadline", "5")

    assert done.exit_code == 1
    assert "expired" in done.output


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--latency", "matcher=2/1"), "95th percentile"),
        (("--latency", "matcher=0/1"), "95th percentile"),
        (("--latency", "nobody=1/2"), "is no stage"),
        (("--latency", "matcher=1/2"), "the same stages"),
        (("--calls", "matcher=many"), "'many' is no number"),
        (("--price", "1"), "no number"),
        (("--cpu-ms", "matcher=inf"), "no number"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_options_name(arguments, told):
    done = planned("--rate", "1", *arguments)

    assert done.exit_code != 0
    assert told in str(done.exception)
    assert arguments[0] in str(done.exception)
