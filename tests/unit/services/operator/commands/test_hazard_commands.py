"""`holdfast report hazard` and `holdfast lab hazard`: files in, tables, files and exit codes out."""

import json
import sys

import pytest
from typer.testing import CliRunner

from services.operator.cli import app
from services.operator.commands import lab
from services.operator.hazard import check
from services.operator.hazard.simulate import PROCESSES
from shared.errors import Fatal, Invalid


def holdfast(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("lab")
    done = holdfast("lab", "hazard", "--process", "correcting", "--answers", 600, "--draws", 100, "--out", path)
    assert done.exit_code == 0, done.output
    assert "what is true, and what the report found" in done.stdout
    return path


def test_the_lab_leaves_claims_labels_figures_and_a_picture(folder):
    assert {file.name for file in folder.iterdir()} == {"claims.jsonl", "audit.jsonl", "hazard.json", "hazard.png"}


def test_the_report_on_the_labs_files_is_the_labs_report(folder, tmp_path):
    done = holdfast(
        "report", "hazard", "--from", folder / "claims.jsonl", "--audit", folder / "audit.jsonl", "--draws", 100,
        "--out", tmp_path / "new" / "folder",
    )  # fmt: skip

    assert done.exit_code == 0, done.output
    assert (tmp_path / "new" / "folder" / "hazard.json").read_text() == (folder / "hazard.json").read_text()
    assert "to keep in mind" in done.stdout


def test_json_is_all_that_is_printed_and_one_arm_all_that_is_in_it(folder):
    done = holdfast(
        "report", "hazard", "--from", folder / "claims.jsonl", "--arm", "corrected", "--json", "--draws", 100
    )

    assert [arm["name"] for arm in json.loads(done.stdout)["arms"]] == ["corrected"]


@pytest.mark.parametrize(
    ("arguments", "error", "told"),
    [
        (("--from", "nowhere.jsonl"), Fatal, "nowhere.jsonl cannot be read"),
        (("--arm", "nobody"), Fatal, "no arm nobody.*corrected, recorded only"),
        (("--audit", "{claims}"), Invalid, "line 1 is no AuditLabel"),
        (("--from", "{audit}"), Invalid, "line 1 is no RecordedClaim"),
        (("--from", "{empty}"), Fatal, "no claims in"),
        (("--from", "{picture}"), Fatal, "not UTF-8"),
    ],
)
def test_what_is_wrong_is_told(folder, tmp_path, arguments, error, told):
    (tmp_path / "empty").touch()
    names = {
        "claims": folder / "claims.jsonl",
        "audit": folder / "audit.jsonl",
        "empty": tmp_path / "empty",
        "picture": folder / "hazard.png",
    }
    source = () if "--from" in arguments else ("--from", names["claims"])

    done = holdfast("report", "hazard", *source, *(argument.format(**names) for argument in arguments))

    with pytest.raises(error, match=told):
        raise done.exception


def test_without_the_extra_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "lifelines", None)

    for arguments in (("report", "hazard"), ("lab", "hazard")):
        with pytest.raises(Fatal, match=r"holdfast\[report\]"):
            raise holdfast(*arguments).exception


@pytest.mark.parametrize(("share", "code"), [(0.05, 0), (0.5, lab.EXIT_MISSED)])
def test_check_exits_by_its_goals(monkeypatch, share, code):
    monkeypatch.setattr(check, "goals", lambda *_, **__: (check.Goal("the wolf is cried", share, 0.03, 0.07, 100),))

    done = holdfast("lab", "hazard", "--check")

    assert done.exit_code == code
    assert "the wolf is cried" in done.stdout


def test_every_process_has_a_name_on_the_command_line():
    assert {name.value for name in lab.ProcessName} == set(PROCESSES)
