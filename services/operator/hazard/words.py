"""
What the data show and do not show, in plain words.

The words follow rules: a rejected test of constancy is never called a refutation; a model fails or holds only where it
predicted answers that it was not fitted to; the verifier's judgement of its own corrections is never called the truth.
"""

from services.operator.hazard.frailty import FrailtyComparison
from services.operator.hazard.noise import LABELS_MIN, Corrected
from services.operator.hazard.prediction import ANSWERS_MIN, OutOfSample, Prediction
from services.operator.hazard.report import ALPHA, FAILURES_MIN, Arm, Finding, Report, Series
from services.operator.hazard.survival import Share

MODEL_NAMES = {
    "constant": "(1-E)^N",
    "weibull": "discrete Weibull (E changes with position)",
    "frailty": "frailty (answers differ)",
    "two_state": "two states (errors are mended later)",
}
VERDICT_ALPHA = 0.01
"""That (1-E)^N fails is the figure that will be quoted, of several series: it takes more than one chance in twenty."""
SERIES_NAMES = {
    ("draft", "verifier"): "as drafted, in the verifier's judgement",
    ("sent", "verifier"): "as sent, in the verifier's own judgement",
    ("draft", "audit"): "as drafted, audited",
    ("sent", "audit"): "as sent, audited",
}
_SELECTION = (
    "Only claims of replies that left are recorded. Drafts that were given up for a fallback are missing, so the "
    "draft's errors are undercounted where that is frequent."
)
_ONE_SIDED = 0.05
_P_SHOWN_MIN = 0.001


def sections(report: Report) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Headings and the sentences below them: one section a series, then corrections, arms, cautions."""
    found: list[tuple[str, tuple[str, ...]]] = []
    for arm in report.arms:
        for series in arm.series:
            heading = f"{arm.name}, {SERIES_NAMES[series.text, series.judged_by]}"
            found.append((heading, of_series(series, corrects=arm.corrects)))
        if sentences := of_correction(arm):
            found.append((f"{arm.name}: correction", sentences))
    if report.between_arms:
        found.append(("arms compared", of_arms(report)))
    found.append(("to keep in mind", cautions(report)))
    return tuple(found)


def of_series(series: Series, *, corrects: bool) -> tuple[str, ...]:
    """What one series shows."""
    conversations = f"{series.answers:,} answers of {series.conversations:,} conversations"
    said = [f"{conversations}, {series.claims:,} judged claims, {series.wrong:,} of them wrong."]
    if not series.wrong:
        said.append(_none_wrong(series))
        if corrects and (series.text, series.judged_by) == ("sent", "verifier"):
            said.append(
                "That is what correcting means: what the verifier found wrong did not leave. It says nothing about "
                "errors that the verifier misses; only an audit does."
            )
        return tuple(said)
    said.append(_shape(series))
    said.append(_prediction(series.prediction) if series.prediction else _no_prediction())
    if series.chain:
        said.append(
            f"After a wrong claim the next one is right in {percent(series.chain.c)}, after a right one wrong in "
            f"{percent(series.chain.e)}. At these rates {series.chain.limit:.1%} of single "
            "claims are right in the long run (c/(c+e)). That every claim of an answer is right is another matter."
        )
    return tuple(said)


def of_correction(arm: Arm) -> tuple[str, ...]:
    """What correction did, as far as is known."""
    said = []
    if arm.mending:
        mending = arm.mending
        ways = ", ".join(f"{way} {count:,}" for way, count in mending.by_correction.items())
        said.append(
            f"Of {mending.mended.trials:,} flagged claims {percent(mending.mended)} are right or gone as sent, in the "
            f"verifier's judgement ({ways}); {mending.dropped.share:.1%} were dropped, which costs their content. If "
            f"mending went on claim by claim at this rate, {mending.as_chain.limit:.1%} of the claims would be right "
            "in the long run (c/(c+e))."
        )
    if arm.before_and_after:
        both = arm.before_and_after
        said.append(
            f"Answers in which every claim is right: {both.before:.1%} as drafted, {both.after:.1%} as sent "
            f"({both.gained:,} gained, {both.spoilt:,} spoilt, {p_value(both.p_value)}), in the verifier's judgement."
        )
    if arm.corrected:
        said += _audited(arm.corrected)
    return tuple(said)


def of_arms(report: Report) -> tuple[str, ...]:
    """Arms against the one that only records."""
    said = [
        f"{pair.arm} against {pair.baseline}: {points(pair.difference)} all-right answers as sent "
        f"(95%: {points(pair.interval[0])} to {points(pair.interval[1])}), in the verifier's judgement; drafts "
        f"{'differ' if pair.p_drafts < ALPHA else 'show no difference'} (log-rank {p_value(pair.p_drafts)})."
        for pair in report.between_arms
    ]
    said.append("These are effects of the arms only if conversations were assigned to them by chance.")
    return tuple(said)


def cautions(report: Report) -> tuple[str, ...]:
    """What limits every statement of the report."""
    said = [
        _SELECTION,
        "Each test is made at 5%: of many series without any effect one in twenty shows one.",
    ]
    if not report.audited:
        said.append(
            "No audit was given: every share of errors is what the verifier flagged, its misses and false alarms "
            "included. `--audit` corrects for them."
        )
    elif all(arm.corrected is None for arm in report.arms):
        said.append(f"The audit has too few labels (at least {LABELS_MIN} flagged and {LABELS_MIN} other claims).")
    if report.labels_unmatched:
        said.append(f"{report.labels_unmatched:,} audit labels name a claim that is not recorded.")
    left = report.left_out
    for count, what in (
        (left.unjudged, "claims have no verdict or no record; they count as neither right nor wrong"),
        (left.repeated, "repeated events were counted once"),
        (left.conflicting, "records contradict an earlier one about the same claim; the first counted"),
        (left.beyond_end, "records lie beyond their answer's number of claims and did not count"),
        (left.too_long, "records of overlong answers did not count"),
    ):
        if count:
            said.append(f"{count:,} {what}.")
    return tuple(said)


def headline(without: Series | None, corrected: Series | None) -> str:
    """How (1-E)^N fared, without and with correction, on answers that it was not fitted to."""
    told = [
        (which, _fared(series.prediction), series.prediction)
        for which, series in (("without correction", without), ("with correction", corrected))
        if series and series.prediction
    ]
    if not told:
        return "Too few answers to hold (1-E)^N against any that it was not fitted to"
    border = told[0][2].short_max
    if len(told) == 1:
        which = f" {told[0][0]}" if corrected else ""
        return f"(1-E)^N {told[0][1]} answers of more than {border} claims{which}: {_expected_and_right(told[0][2])}"
    if told[0][1] == told[1][1]:
        both = " and ".join(f"{which} ({_expected_and_right(found)})" for which, _, found in told)
        return f"(1-E)^N {told[0][1]} answers of more than {border} claims, {both}"
    return f"Answers of more than {border} claims: " + "; ".join(
        f"{which} (1-E)^N {verdict.removesuffix(' about').removesuffix(' for')} ({_expected_and_right(found)})"
        for which, verdict, found in told
    )


def percent(share: Share) -> str:
    """A share with its interval."""
    return f"{share.share:.1%} (95%: {share.low:.1%} to {share.high:.1%})"


def points(difference: float) -> str:
    """A difference of two shares."""
    return f"{100 * difference:+.1f} points"


def p_value(p: float) -> str:
    """*p*, not more exactly than it deserves."""
    if p != p:  # noqa: PLR0124  (NaN)
        return "p cannot be told"
    return "p < 0.001" if p < _P_SHOWN_MIN else f"p = {p:.3f}"


def _none_wrong(series: Series) -> str:
    bound = 1 - _ONE_SIDED ** (1 / series.claims) if series.claims else 1.0
    return (
        f"Not one was found wrong. That is no proof of perfection: shares of wrong claims up to {bound:.2%} would "
        "leave so many without an error one time in twenty or more."
    )


def _shape(series: Series) -> str:
    test, frailty = series.constant_hazard, series.frailty
    within = frailty.within
    if series.finding is Finding.TOO_FEW:
        return (
            f"{test.failures} answers with an error are too few to say how E changes with position "
            f"(at least {FAILURES_MIN})."
        )
    beta = f"β = {test.beta:.2f}, 95%: {test.beta_interval[0]:.2f} to {test.beta_interval[1]:.2f}"
    if series.finding is Finding.NO_CHANGE_SEEN:
        return (
            f"No change of E with position is seen ({beta}; {p_value(series.p_constant)}). That is no proof of "
            "constancy: changes within the interval would not be noticed."
        )
    if series.finding is Finding.HETEROGENEOUS:
        return _heterogeneous(series, beta)
    if series.finding is Finding.UNCLEAR:
        return (
            f"The hazard of the first error is not constant ({beta}; {p_value(series.p_constant)}), but the data do "
            f"not tell whether E changes within answers ({p_value(within.p_value)}) or easy and hard answers are mixed "
            f"({p_value(frailty.p_heterogeneity)}). The test alone refutes nothing."
        )
    early = series.finding is Finding.FALLING
    return (
        f"Wrong claims stand {'early' if early else 'late'} in their answers ({p_value(within.p_value)}, whatever the "
        f"answers' difficulty): E {'falls' if early else 'rises'} with position"
        f"{_adjusted(frailty)}. By itself this does not refute (1-E)^N; how well it predicts is the next sentence."
        + ("" if early else " Late errors are also what earlier errors cause when an answer builds on them.")
    )


def _heterogeneous(series: Series, beta: str) -> str:
    frailty = series.frailty
    rejected = series.p_constant < ALPHA
    mixture = (
        f"Some answers are more prone to error than others (two claims of one answer correlate by "
        f"{frailty.frailty.correlation:.3f}; {p_value(frailty.p_heterogeneity)}); within answers no change of E with "
        f"position is seen ({p_value(frailty.within.p_value)})."
    )
    if not rejected:
        return mixture
    return (
        f"{mixture} The hazard of the first error is not constant over all answers ({beta}; "
        f"{p_value(series.p_constant)}), but a mixture of easy and hard answers does that by itself: the hard ones "
        "fail early and are gone. It is no evidence that E falls within an answer, and refutes nothing."
    )


def _adjusted(frailty: FrailtyComparison) -> str:
    low, high = frailty.beta_interval
    return f" (β = {frailty.both.beta:.2f}, 95%: {low:.2f} to {high:.2f}, answers being allowed to differ)"


def _no_prediction() -> str:
    return (
        f"(1-E)^N cannot be held against long answers: that takes {ANSWERS_MIN} fully judged answers on either side of "
        "a length, and among the short ones some that are all right and some that are not."
    )


def _prediction(found: OutOfSample) -> str:
    constant = found.of("constant")
    best = max(found.predictions, key=lambda one: one.log_score)
    said = (
        f"Fitted to the {found.short_answers:,} answers of up to {found.short_max} claims, (1-E)^N expects "
        f"{constant.expected:.1%} of the {found.long_answers:,} longer ones to be all right; {found.observed:.1%} are "
        f"({_difference(constant)}). It {_fared(found)} them"
        f"{', as far as so many answers tell' if _fared(found) == 'holds for' else ''}."
    )
    if best.model == "constant" or best.gain_interval[0] <= 0:
        return f"{said} No other model predicts them surely better."
    return (
        f"{said} {MODEL_NAMES[best.model][0].upper()}{MODEL_NAMES[best.model][1:]} predicts them better: "
        f"{best.expected:.1%} expected, log score {best.gain:+.4f} an answer (95%: {best.gain_interval[0]:+.4f} to "
        f"{best.gain_interval[1]:+.4f})."
    )


def _fared(found: OutOfSample) -> str:
    constant = found.of("constant")
    if not constant.p_surplus < VERDICT_ALPHA:
        return "holds for"
    return "is too pessimistic about" if constant.surplus > 0 else "is too optimistic about"


def _expected_and_right(found: OutOfSample) -> str:
    return f"{found.of('constant').expected:.0%} expected, {found.observed:.0%} right"


def _difference(one: Prediction) -> str:
    low, high = one.surplus_interval
    return f"difference {points(one.surplus)}, 95%: {points(low)} to {points(high)}; {p_value(one.p_surplus)}"


def _audited(found: Corrected) -> list[str]:
    error, caught, alarms = found.error_share, found.catch_rate, found.false_alarm_rate
    flags = (
        f"it catches {caught.value:.0%} ({caught.low:.0%} to {caught.high:.0%}) of the wrong ones and flags "
        f"{alarms.value:.1%} ({alarms.low:.1%} to {alarms.high:.1%}) of the right ones"
    )
    wrong = f"{error.value:.1%} (95%: {error.low:.1%} to {error.high:.1%}) of the drafted claims are wrong"
    said = [f"By {found.labels:,} audit labels {wrong}, where the verifier flags {found.flagged_share:.1%}: {flags}."]
    if found.residual:
        left = found.residual
        said.append(
            f"As sent, {left.value:.1%} (95%: {left.low:.1%} to {left.high:.1%}) of the claims are wrong. That alone "
            "lowers the base of (1-E)^N and leaves its form: only errors mended after they were made, or a chance that "
            "falls with N, would change the form, and the predictions above tell that."
        )
    if found.verification_helps is not None:
        verdict = (
            "takes away more errors than it adds" if found.verification_helps else "adds as many errors as it takes"
        )
        said.append(f"Mending {verdict} (f·d against r·rho·E/(1-E)).")
    return said
