"""`holdfast evaluate` knows what is evaluated, and takes files alone for scenarios of matching, as it always did."""

import pytest
from typer.testing import CliRunner

from services.operator.cli import app


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["evaluate", "--help"], "verification"),
        (["evaluate", "verification", "--help"], "labelled drafts"),
        (["evaluate", "matching", "--help"], "scenarios"),
        (["evaluate", "no-such-file.yaml"], ""),
    ],
)
def test_a_name_or_files(arguments, told):
    done = CliRunner().invoke(app, arguments)
    assert told in done.output
    if not told:
        assert "no-such-file.yaml cannot be read as scenarios" in str(done.exception)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--record", "a", "--replay", "b"], "give one of them"),
        (["--record", "a", "--model", "scripted"], "of nothing else"),
        (["--miss", "0.1", "--model", "rehearsal"], "scripted verifier's"),
        (["no-such-file.yaml", "--model", "scripted"], "cannot be read as labelled drafts"),
    ],
)
def test_options_that_do_not_go_together_are_refused(arguments, told, tmp_path, monkeypatch):
    monkeypatch.setenv("HOLDFAST_OPERATOR_FOLDER", str(tmp_path))
    done = CliRunner().invoke(app, ["evaluate", "verification", *arguments])
    assert told in str(done.exception)
