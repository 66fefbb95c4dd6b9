"""
An evaluation as one HTML page that needs nothing beside itself: plots with intervals, figures, and what went wrong.
"""

from collections.abc import Mapping, Sequence
from io import StringIO
from typing import Final

from jinja2 import Environment
from markupsafe import Markup
from matplotlib.figure import Figure

from services.operator.evaluation.compare import Comparison
from services.operator.evaluation.result import Result
from services.operator.evaluation.scoring import Estimate, Score, scores

BAR = 0.8
"""Of an area's row, that its sizes share."""

_PAGE: Final = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Evaluation of matching</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 62rem; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; margin: 1rem 0 } td, th { padding: .25rem .6rem; text-align: right }
th { border-bottom: 1px solid #999 } td:first-child, th:first-child, .text td { text-align: left }
svg { max-width: 100%; height: auto } small { color: #666 }
</style>
<h1>Evaluation of matching</h1>
<p>Bars are shares of plays whose whole decision is right, with intervals of 95 % over scenarios.</p>
{{ plot }}
{% for size, found in figures.items() %}
<h2>{{ "Padded to {:,} guidelines".format(size) if size else "As written" }}</h2>
<table>
<tr><th>area<th>scenarios<th>plays<th>precision<th>recall<th>exact set<th>pass^k\
<th>calls<th>tokens in<th>out<th>failed</tr>
{% for score in found %}
<tr><td>{{ score.area }}<td>{{ score.scenarios }}<td>{{ score.plays }}<td>{{ score.precision | estimate }}\
<td>{{ score.recall | estimate }}<td>{{ score.exact | estimate }}\
<td>^{{ score.passes | length }} {{ score.passes[-1] | estimate }}<td>{{ "%.2f" | format(score.calls) }}\
<td>{{ "{:,.0f}".format(score.input_tokens) }}<td>{{ "{:,.0f}".format(score.output_tokens) }}\
<td>{{ score.failures }}</tr>
{% endfor %}
</table>
{% endfor %}
{% if comparison %}
<h2>Against the earlier run</h2>
<p>{{ comparison.both }} scenarios passed in both, {{ comparison.neither }} in neither; {{ comparison.gained | length }}
gained, {{ comparison.lost | length }} lost; p = {{ "%.3g" | format(comparison.p_value) }} (McNemar, exact).</p>
<p>Gained: {{ comparison.gained | join(", ") or "none" }}.<br>Lost: {{ comparison.lost | join(", ") or "none" }}.</p>
{% endif %}
<h2>Wrong decisions</h2>
<table class="text">
<tr><th>scenario<th>guidelines<th>play<th>expected<th>decided</tr>
{% for result in wrong %}
<tr><td>{{ result.scenario }}<td>{{ result.guidelines }}<td>{{ result.repeat }}\
<td>{{ result.expected | join(", ") or "nothing" }}\
<td>{{ result.failure or result.observed | join(", ") or "nothing" }}</tr>
{% else %}
<tr><td colspan="5">none</tr>
{% endfor %}
</table>
{% if unfit %}
<h2>Scenarios that do not fit</h2>
<table class="text">
{% for name, reason in unfit.items() %}<tr><td>{{ name }}<td>{{ reason }}</tr>
{% endfor %}
</table>
{% endif %}
</html>
"""


def page(sizes: Mapping[int, Sequence[Result]], unfit: Mapping[str, str], comparison: Comparison | None) -> str:
    """The page of the results of each size that playbooks were padded to; every text in it is escaped."""
    figures = {size: scores(results) for size, results in sizes.items()}
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["estimate"] = _shown
    return environment.from_string(_PAGE).render(
        plot=Markup(_plot(figures)),  # noqa: S704  (drawn here; matplotlib escapes the areas' names)
        figures=figures,
        comparison=comparison,
        wrong=[result for results in sizes.values() for result in results if not result.is_right],
        unfit=unfit,
    )


def _plot(figures: Mapping[int, Sequence[Score]]) -> str:
    areas = list(dict.fromkeys(score.area for found in figures.values() for score in found))
    figure = Figure(figsize=(9, 1.2 + 0.22 * len(areas) * (1 + len(figures))), layout="constrained")
    axes = figure.subplots()
    height = BAR / max(1, len(figures))
    for place, (size, found) in enumerate(figures.items()):
        rows = [areas.index(score.area) + (place - (len(figures) - 1) / 2) * height for score in found]
        values = [score.exact.value for score in found]
        around = [
            [max(0.0, score.exact.value - score.exact.low) for score in found],
            [max(0.0, score.exact.high - score.exact.value) for score in found],
        ]
        label = f"{size:,} guidelines" if size else "as written"
        axes.barh(rows, values, height * 0.9, xerr=around, label=label, capsize=2, error_kw={"lw": 0.8})
    axes.set_yticks(range(len(areas)), areas, parse_math=False)
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.set_xlabel("share of right decisions")
    axes.spines[["top", "right"]].set_visible(False)
    if figures:
        axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    text = StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    drawn = text.getvalue()
    return drawn[drawn.index("<svg") :]


def _shown(estimate: Estimate | None) -> Markup:
    if estimate is None:
        return Markup("–")
    return Markup("{:.2f} <small>{:.2f}–{:.2f}</small>").format(estimate.value, estimate.low, estimate.high)
