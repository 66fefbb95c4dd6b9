"""
One page for a reader of the debate: the predicted decay, what was measured, with and without correction.
"""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from services.operator.hazard import words
from services.operator.hazard.prediction import OutOfSample
from services.operator.hazard.report import Arm, JudgedBy, Report, Series
from services.operator.hazard.survival import Share

TRIALS_MIN = 30
"""Points from fewer claims or answers are left out: their bars would hide the others."""
POSITION_SHARE_MIN = 0.1
"""Positions that fewer than this share of the answers reach are left out of E(k): noise hides the rest."""
AUDITED_ANSWERS_MIN = 100
"""With fewer audited answers the pictures show the verifier's judgement."""
DOTS_PER_INCH = 100
FOOT_CHARS = 170
TITLE_CHARS = 100
BLOCK_ROWS = 1.0

# Okabe and Ito's colours, told apart by every kind of colour vision.
WITHOUT, WITH, INK, PALE = "#D55E00", "#0072B2", "#333333", "#999999"
OTHERS = ("#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_SHORT_NAMES = {
    "constant": "(1-E)ᴺ",
    "weibull": "Weibull",
    "frailty": "frailty",
    "two_state": "two states",
}
_STYLE: dict[Any, Any] = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": PALE,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "text.color": INK,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
}


@dataclass(frozen=True, slots=True)
class Shown:
    """A series with the label and the colour that it has on every panel."""

    series: Series
    label: str
    colour: str


def draw(report: Report, path: Path, *, source: str) -> None:
    """
    Write the page to *path* (PNG); *source* is named at its foot.

    Raises:
        OSError: *path* cannot be written.

    """
    shown = chosen(report)
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(11, 8), layout="constrained")
        grid = figure.add_gridspec(2, 2, height_ratios=[1.35, 1])
        _decay(figure.add_subplot(grid[0, :]), shown)
        _hazards(figure.add_subplot(grid[1, 0]), by_arm(report))
        _calibration(figure.add_subplot(grid[1, 1]), shown)
        figure.suptitle(_title(report), x=0.012, ha="left", fontsize=13, fontweight="bold")
        figure.supxlabel(_foot(report, shown, source), x=0.01, ha="left", fontsize=8, color=PALE)
        figure.savefig(path, dpi=DOTS_PER_INCH, format="png", pil_kwargs={"optimize": True})


def chosen(report: Report) -> tuple[Shown, ...]:
    """The series without and with correction: audited ones where there are enough answers."""
    recorded = next((arm for arm in report.arms if not arm.corrects), None)
    corrected = next((arm for arm in report.arms if arm.corrects), None)
    judged_by: JudgedBy = "audit" if _audited(recorded or corrected, corrected) else "verifier"
    suffix = "" if judged_by == "audit" else "\n(the verifier's own judgement)"
    found = []
    if (arm := recorded or corrected) and (series := arm.find("draft", judged_by)):
        found.append(Shown(series, "without correction" if corrected else "", WITHOUT))
    if corrected and (series := corrected.find("sent", judged_by)):
        found.append(Shown(series, f"with correction{suffix}", WITH))
    return tuple(found)


def by_arm(report: Report) -> tuple[Shown, ...]:
    """Every arm's drafts, and what the correcting arms sent, as they are shown by position."""
    audited = {one.series.judged_by for one in chosen(report)} == {"audit"}
    judged_by: JudgedBy = "audit" if audited else "verifier"
    found = []
    spare = iter(OTHERS)
    recorded = [arm for arm in report.arms if not arm.corrects]
    for arm in report.arms:
        draft, sent = arm.find("draft", judged_by), arm.find("sent", judged_by)
        first = arm in recorded[:1] or not recorded
        if draft:
            colour = WITHOUT if first else next(spare, PALE)
            found.append(Shown(draft, f"{arm.name}, drafted" if len(report.arms) > 1 else "as drafted", colour))
        if sent and arm.corrects:
            found.append(Shown(sent, f"{arm.name}, sent" if len(report.arms) > 1 else "as sent", WITH))
    return tuple(found)


def _title(report: Report) -> str:
    shown = {one.colour: one.series for one in chosen(report)}
    text = words.headline(shown.get(WITHOUT), shown.get(WITH)).replace("^N", "ᴺ")
    return "\n".join(textwrap.wrap(text, TITLE_CHARS))


def _audited(*arms: Arm | None) -> bool:
    present = [arm for arm in arms if arm is not None]
    series = [arm.find("sent" if arm.corrects else "draft", "audit") for arm in present]
    drafts = [arm.find("draft", "audit") for arm in present]
    return bool(present) and all(one is not None and one.answers >= AUDITED_ANSWERS_MIN for one in series + drafts)


def _decay(axes: Axes, shown: Sequence[Shown]) -> None:
    axes.set_title("Answers in which every claim is right, by length")
    axes.set_xlabel("claims in the answer, N")
    axes.set_ylim(0, 1.03)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    points = [[share for share in one.series.right_by_length if share.trials >= TRIALS_MIN] for one in shown]
    end = max((share.at for found in points for share in found), default=10.0)
    axes.set_xlim(0, end * 1.26)
    axes.set_xticks(_whole(end))
    labels = []
    for one, found in zip(shown, points, strict=True):
        labels += _decay_of(axes, one, found, end)
    _spread(axes, labels, at=end * 1.02)
    borders = {one.series.prediction.short_max for one in shown if one.series.prediction}
    if len(borders) == 1:
        border = borders.pop() + 0.5
        axes.axvline(border, color=PALE, linewidth=0.8, linestyle=":")
        axes.text(border, 0.015, " E fitted left of here, predicted to the right", color=PALE, fontsize=8.5)


def _decay_of(axes: Axes, one: Shown, found: Sequence[Share], end: float) -> list[tuple[float, str, str]]:
    """Points and curve of one series; the labels for their right ends."""
    labels = []
    hazard, low, high = _fitted_hazard(one.series)
    if hazard > 0:
        claims = np.linspace(0, end, 200)
        axes.fill_between(claims, (1 - high) ** claims, (1 - low) ** claims, color=one.colour, alpha=0.12, linewidth=0)
        axes.plot(claims, (1 - hazard) ** claims, color=one.colour, linewidth=1.6, linestyle=(0, (5, 3)))
        labels.append((float((1 - hazard) ** end), f"(1-E)ᴺ predicts, E = {hazard:.1%}", one.colour))
    if found:
        _points(axes, found, one.colour)
        labels.append((found[-1].share, f"measured {one.label}".strip(), one.colour))
    return labels


def _fitted_hazard(series: Series) -> tuple[float, float, float]:
    if series.prediction is None:
        return series.constant_hazard.hazard, *series.constant_hazard.hazard_interval
    constant = series.prediction.of("constant")
    return constant.parameters["E"], *constant.parameter_intervals["E"]


def _hazards(axes: Axes, shown: Sequence[Shown]) -> None:
    axes.set_title("Claims that are wrong, by position: E(k)")
    axes.set_xlabel("position of the claim, k")
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    end, top, labels = 1.0, 0.01, []
    for number, one in enumerate(shown):
        enough = max([TRIALS_MIN, *(POSITION_SHARE_MIN * share.trials for share in one.series.hazard)])
        found = [share for share in one.series.hazard if share.trials >= enough]
        if not found:
            continue
        # Bars of several series would hide each other at the same place.
        _points(axes, found, one.colour, aside=(number - (len(shown) - 1) / 2) * 0.22, joined=True)
        end = max(end, found[-1].at)
        top = max(top, *(share.high for share in found))
        labels.append((float(np.mean([share.share for share in found[-3:]])), one.label, one.colour))
    axes.set_xlim(0.4, end * 1.55)
    axes.set_xticks(_whole(end))
    axes.set_ylim(0, top * 1.05)
    _spread(axes, labels, at=end * 1.05)


def _calibration(axes: Axes, shown: Sequence[Shown]) -> None:
    axes.set_title("Long answers all right: predicted from short ones")
    found = [(one, one.series.prediction) for one in shown if one.series.prediction]
    if not found:
        axes.axis("off")
        axes.text(0, 0.5, "Too few answers to fit and to predict.", transform=axes.transAxes)
        return
    axes.set_xlabel("share of long answers in which every claim is right\n(dots: predicted; lines: measured)")
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    ticks: list[tuple[float, str]] = []
    place = 0.0
    for one, prediction in found:
        place = _predictions(axes, one, prediction, place, ticks)
    _heads(axes, found)
    axes.set_yticks([at for at, _ in ticks], [name for _, name in ticks], fontsize=9)
    axes.set_ylim(place - 0.4, -1.3)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def _predictions(
    axes: Axes, one: Shown, prediction: OutOfSample, place: float, ticks: list[tuple[float, str]]
) -> float:
    """Rows of one series from *place* down; the place of the next."""
    rows = len(prediction.predictions)
    low, high = _measured_interval(prediction)
    axes.fill_betweenx([place - 0.45, place + rows - 0.55], low, high, color=one.colour, alpha=0.15, linewidth=0)
    axes.plot([prediction.observed] * 2, [place - 0.45, place + rows - 0.55], color=one.colour, linewidth=1.6)
    for row, model in enumerate(prediction.predictions):
        at = place + row
        axes.plot(model.expected_interval, [at, at], color=INK, linewidth=1.2)
        axes.plot([model.expected], [at], "o", color=INK, markersize=5)
        ticks.append((at, _SHORT_NAMES[model.model]))
    return place + rows + BLOCK_ROWS


def _heads(axes: Axes, found: Sequence[tuple[Shown, OutOfSample]]) -> None:
    """Name the measured line of each block, on the side that has room."""
    middle = float(np.mean(axes.get_xlim()))
    place = 0.0
    for one, prediction in found:
        label = f" measured {one.label.splitlines()[0] if one.label else ''} ".rstrip()
        axes.text(
            prediction.observed,
            place - 0.55,
            label if prediction.observed < middle else label.strip(),
            ha="left" if prediction.observed < middle else "right",
            va="bottom",
            color=one.colour,
            fontsize=9,
            fontweight="bold",
        )
        place += len(prediction.predictions) + BLOCK_ROWS


def _measured_interval(prediction: OutOfSample) -> tuple[float, float]:
    trials = sum(share.trials for share in prediction.measured)
    spread = 1.96 * np.sqrt(prediction.observed * (1 - prediction.observed) / trials)
    return prediction.observed - spread, prediction.observed + spread


def _points(axes: Axes, found: Sequence[Share], colour: str, *, aside: float = 0.0, joined: bool = False) -> None:
    share = np.array([one.share for one in found])
    bars = [share - [one.low for one in found], [one.high for one in found] - share]
    at = np.array([one.at for one in found]) + aside
    axes.errorbar(
        at,
        share,
        yerr=np.maximum(bars, 0),
        fmt="o-" if joined else "o",
        color=colour,
        markersize=4 if joined else 6,
        linewidth=1.0,
        elinewidth=1.2,
    )


def _whole(end: float) -> list[int]:
    """Ticks at whole numbers up to *end*: the room of the labels has none."""
    return [int(tick) for tick in MaxNLocator(nbins=8, integer=True).tick_values(0, end) if 0 <= tick <= end]


def _spread(axes: Axes, labels: Sequence[tuple[float, str, str]], *, at: float) -> None:
    """Write labels at their heights, pushed apart where they would overlap."""
    low, high = axes.get_ylim()
    line = (high - low) * (0.052 if axes.get_position().height > 0.4 else 0.085)  # noqa: PLR2004  (the taller panel)
    below = high
    for height, label, colour in sorted(labels, reverse=True):
        lines = label.count("\n") + 1
        place = min(height, below - line * lines / 2)
        axes.text(at, place, label, color=colour, va="center", fontsize=9, fontweight="bold", linespacing=1.0)
        below = place - line * lines / 2


def _foot(report: Report, shown: Sequence[Shown], source: str) -> str:
    judged = {"audit": "a blind audit", "verifier": "the verifier"}
    by = ", ".join(sorted({judged[one.series.judged_by] for one in shown})) or "nobody"
    answers = sum(one.series.answers for one in shown)
    text = (
        f"{source}. {answers:,} answers shown, judged by {by}. Bars and bands: 95% intervals, by conversation; "
        f"{report.draws:,} resamples. Points of fewer than {TRIALS_MIN} answers or claims are left out."
    )
    return "\n".join(textwrap.wrap(text, FOOT_CHARS))
