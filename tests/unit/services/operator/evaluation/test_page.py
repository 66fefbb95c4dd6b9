from services.operator.evaluation.compare import compared
from services.operator.evaluation.page import page


def test_the_page_shows_plots_figures_and_every_wrong_decision(make_result):
    wrong = make_result("two", right=False)
    results = [make_result("one"), wrong]
    text = page({0: results, 100: [make_result("one", guidelines=100)]}, {"R-9": "why not"}, compared(results, results))
    assert text.count("<svg") == 1
    assert "Padded to 100 guidelines" in text
    assert "<td>two<td>2<td>1<td>a<td>b</tr>" in text
    assert "why not" in text
    assert "McNemar" in text


def test_no_text_of_a_scenario_is_markup_on_the_page(make_result):
    name = "<script>alert(1)</script> $x^2$ {{ 7 * 7 }}"
    text = page({0: [make_result(name, right=False, area=name)]}, {name: name}, None)
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert "{{ 7 * 7 }}" in text


def test_without_wrong_decisions_the_page_says_so(make_result):
    assert '<td colspan="5">none' in page({0: [make_result()]}, {}, None)
