"""
The verifier's rates as tables for a terminal, and as a document.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.table import Table

from services.operator import tables
from services.operator.hazard.survival import Share
from services.operator.verification.drafts import RIGHT
from services.operator.verification.measures import Rates
from services.operator.verification.result import Result
from services.operator.verification.shipping import ERROR_SHARES, ruling, words
from shared.playbook.model import Variant


def rate_table(found: Mapping[Variant, Rates]) -> Table:
    """One column a variant, one row a rate."""
    rows = [
        ("drafts", *(f"{rates.drafts:,}" for rates in found.values())),
        ("claims", *(f"{rates.claims:,}" for rates in found.values())),
        *(
            (told, *(share(getattr(rates, name)) for rates in found.values()))
            for told, name in (
                ("E: wrong claims, of all drafted", "errors"),
                ("r: flagged, of the wrong", "catches"),
                ("f: flagged, of the right", "alarms"),
                ("r where the model decided", "model_catches"),
                ("f where the model decided", "model_alarms"),
                ("rho: mended, of the wrong that were flagged", "repairs"),
                ("  of them dropped", "dropped"),
                ("  of them withheld with their reply", "withheld"),
                ("d: spoilt, of the right that were flagged", "damages"),
                ("right claims that did not leave", "losses"),
                ("wrong claims that left, of all drafted", "residual"),
                ("omitted guideline caught", "omissions"),
                ("performed guideline taken for omitted", "omission_alarms"),
            )
        ),
        ("calls a draft", *(f"{rates.calls:.2f}" for rates in found.values())),
        ("calls a draft that is all right", *(f"{rates.calls_all_right:.2f}" for rates in found.values())),
        ("input tokens a draft", *(f"{rates.input_tokens:,.0f}" for rates in found.values())),
        ("output tokens a draft", *(f"{rates.output_tokens:,.0f}" for rates in found.values())),
    ]
    return tables.figures("what the verifier catches (95 % intervals, drafts as clusters)", ("", *found), rows)


def label_table(found: Mapping[Variant, Rates]) -> Table:
    """The flagged share of each class of claims."""
    labels = dict.fromkeys(label for rates in found.values() for label in rates.by_label)
    rows = [
        (f"{label} ({'right' if label in RIGHT else 'wrong'})", *(share(r.by_label.get(label)) for r in found.values()))
        for label in labels
    ]
    return tables.figures("flagged, by class of claim", ("", *found), rows)


def rulings(found: Mapping[Variant, Rates], error_shares: Sequence[float] = ERROR_SHARES) -> list[str]:
    """The ship rule in plain words, a line each variant and error share."""
    return [f"{variant}: {words(ruling(rates, e))}" for variant, rates in found.items() for e in error_shares]


def document(found: Mapping[Variant, Rates], results: Sequence[Result]) -> dict[str, Any]:
    """All figures and results, as JSON has it."""
    return {
        "rates": {variant.value: asdict(rates) for variant, rates in found.items()},
        "ship_rule": {
            variant.value: [asdict(ruling(rates, e)) for e in ERROR_SHARES] for variant, rates in found.items()
        },
        "results": [result.model_dump(mode="json") for result in results],
    }


def share(found: Share | None) -> str:
    """A share with its interval and counts; a dash where nothing was at risk."""
    if found is None:
        return "–"
    return f"{found.share:.1%} [{found.low:.1%}, {found.high:.1%}] {found.hits}/{found.trials}"
