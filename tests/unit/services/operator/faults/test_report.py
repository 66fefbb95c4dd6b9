"""
The report of a matrix outlives the run that wrote it.
"""

import pytest

from services.operator.faults.report import read_results, write_results
from services.operator.faults.running import RowResult
from shared.errors import Fatal


def result(row, broken=()):
    return RowResult(
        row=row,
        what="a fault",
        asked=20_000,
        rate=100.0,
        messages=20_000,
        turns=19_999,
        outcomes={"answered": 19_990, "superseded": 9},
        faults=4,
        calls_a_turn=2.25,
        quiet_seconds=2.9,
        stop_seconds=0.5,
        figures={"records searched": "207,505"},
        broken=broken,
    )


def test_what_is_written_is_read_again(tmp_path):
    results = {"poison": result("poison"), "bursts": result("bursts", ("I1: 1, as x",))}

    write_results(tmp_path / "report.json", results)

    assert read_results(tmp_path / "report.json") == results
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


def test_a_report_that_is_not_there_has_no_results(tmp_path):
    assert read_results(tmp_path / "report.json") == {}


@pytest.mark.parametrize("text", ["", "{}", '[{"row": "poison"}]'])
def test_another_file_is_not_taken_for_a_report(tmp_path, text):
    path = tmp_path / "report.json"
    path.write_text(text)

    with pytest.raises(Fatal, match=r"report\.json is no report of the fault matrix"):
        read_results(path)
