"""
What `holdfast bench scale` makes of its runs.
"""

from services.operator.benchmarks.scale import HEADER, Point, Verdict, conversations, judged, open_max, rows


def _verdicts(*points):
    return [one.verdict for one in judged(points)]


def test_a_run_is_a_share_of_what_as_many_of_the_first_ones_processes_would_bring():
    found = judged([Point(1, 8.0, 0.2), Point(2, 15.2, 0.4), Point(4, 28.8, 0.6)])

    assert [round(one.share, 3) for one in found] == [1.0, 0.95, 0.9]
    assert [one.verdict for one in found] == [Verdict.BASELINE, Verdict.REACHED, Verdict.REACHED]


def test_the_first_run_may_have_several_processes():
    assert [round(one.share, 3) for one in judged([Point(2, 16.0, 0.2), Point(4, 16.0, 0.2)])] == [1.0, 0.5]


def test_less_than_85_percent_of_linear_is_missed_while_cores_are_free():
    assert _verdicts(Point(1, 10.0, 0.2), Point(2, 16.9, 0.79)) == [Verdict.BASELINE, Verdict.MISSED]
    assert _verdicts(Point(1, 10.0, 0.2), Point(2, 17.0, 0.79)) == [Verdict.BASELINE, Verdict.REACHED]


def test_full_cores_excuse_a_missed_share_and_take_away_no_reached_one():
    assert _verdicts(Point(1, 10.0, 0.5), Point(4, 22.0, 0.8)) == [Verdict.BASELINE, Verdict.CORES_FULL]
    assert _verdicts(Point(1, 10.0, 0.5), Point(4, 38.0, 0.95)) == [Verdict.BASELINE, Verdict.REACHED]


def test_the_load_outlasts_the_run_at_the_highest_rate_that_little_s_law_allows():
    places, seconds, model_seconds = 4, 45.0, 0.5

    for processes in (1, 2, 4):
        ended_max = processes * places / model_seconds * seconds
        assert conversations(processes, places, model_seconds, seconds) >= ended_max + open_max(processes, places)


def test_each_row_fills_the_header():
    assert rows(judged([Point(1, 8.0, 0.25), Point(4, 16.0, 0.9)])) == [
        ("1", "8.0", "100%", "25%", "baseline"),
        ("4", "16.0", "50%", "90%", "not judged: the cores are full"),
    ]
    assert all(len(row) == len(HEADER) for row in rows(judged([Point(1, 8.0, 0.25)])))
