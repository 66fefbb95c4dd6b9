"""The file that keeps finished results."""

import pytest

from services.operator.evaluation.kept import append_result, drop_partial_line, read_results
from services.operator.evaluation.result import Result
from shared.errors import Fatal


def test_results_are_kept_the_last_of_each_play_and_a_cut_off_line_is_dropped(tmp_path, make_result):
    file = tmp_path / "results.jsonl"
    first, second = make_result(right=False), make_result()
    append_result(file, first)
    append_result(file, second)
    with file.open("a") as end:
        end.write('{"fingerpr')
    assert read_results(file, Result) == {("f-one", 1): second}
    drop_partial_line(file)
    append_result(file, make_result("two"))
    assert set(read_results(file, Result)) == {("f-one", 1), ("f-two", 1)}


def test_a_spoilt_line_in_the_middle_is_told(tmp_path, make_result):
    file = tmp_path / "results.jsonl"
    file.write_text("{}\n" + make_result().model_dump_json() + "\n")
    with pytest.raises(Fatal, match=r"results\.jsonl:1"):
        read_results(file, Result)


def test_no_file_means_no_results(tmp_path):
    assert read_results(tmp_path / "none", Result) == {}
    drop_partial_line(tmp_path / "none")
