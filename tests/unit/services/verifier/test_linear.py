"""No text makes the gate work more than in proportion to its length."""

import ast
import sys
from pathlib import Path

import pytest

from services.verifier.domain import crosscheck
from services.verifier.domain.blind import Grounded
from services.verifier.domain.claims import pieces_of
from services.verifier.domain.gate import Ground, judge, reply_complaints
from shared.events.turns import FactRecord, Segment
from shared.playbook.model import Playbook

ROOT = Path(__file__).parents[4]
MODULES = [*(ROOT / "services" / "verifier").rglob("*.py"), *(ROOT / "shared" / "arq").rglob("*.py")]
SHORT, LONG = 1_000, 8_000
RATIO_MAX = 1.6 * LONG / SHORT
"""Of the work on texts of the two lengths: 8 where it is linear, 64 where it is quadratic."""

UNITS = {
    "digits in groups": "123 ",
    "thousands": "000 ",
    "one long number": "1",
    "a number that is no number": "1,",
    "a date that never ends": "1/",
    "dashes": "1-",
    "identifiers": "a1-",
    "apostrophes": "'",
    "openings": "(",
    "closings": ".",
    "a dot and a digit": ".1",
    "links": "www.",
    "addresses": "a@",
    "hosts": "a.b.",
    "months": "may 1 ",
    "currencies": "€1 $2 ",
    "number words": "two hundred ",
    "percent": "1 per cent ",
    "sentences": "a. ",
    "sentences of one word": "costs. ",
    "negations": "not ",
    "capitals": "Aa Bb ",
    "deeds": "we have refunded ",
    "a phrase begun again and again": "risk risk-fre ",
    "another script": "费用",
    "digits of another script": "٣",
    "combining characters": "e\N{COMBINING ACUTE ACCENT}",
    "white space": " \t\n",
    "questions": "why? ",
}


def work(run):
    """Lines of Python that *run* executes, with nothing remembered from before."""
    done = 0

    def trace(frame, event, _):
        nonlocal done
        if event == "line":
            done += 1
        return trace

    forget()
    sys.settrace(trace)
    try:
        run()
    finally:
        sys.settrace(None)
    return done


def forget():
    for module in list(sys.modules.values()):
        if getattr(module, "__name__", "").startswith(("services.verifier", "shared.arq")):
            for held in vars(module).values():
                if hasattr(held, "cache_clear"):
                    held.cache_clear()


def repeated(unit, length):
    return (unit * (length // len(unit) + 1))[:length]


def gated(text):
    fact = FactRecord(id="f", text=text[: len(text) // 2] or "a", source="playbook")
    ground = Ground({"f": fact}, frozenset({"harbour"}), text[-len(text) // 4 :], ("risk-free",))
    book = Playbook.model_validate(
        {"agent": "a", "profile": {"name": "A"}, "phrases": {"forbidden": ["risk-free"], "required": ["bye"]}}
    )
    for kind in ("claim", "social", "question"):
        segment = Segment(kind=kind, text=text, fact_ids=("f",))
        judge(segment, ground)
        [piece] = pieces_of([segment], ground)
        crosscheck.by_code(piece, Grounded("What?", "answered", fact.text, fact.text, fact.text))
    reply_complaints(text, (), {}, book)


@pytest.mark.parametrize("unit", UNITS.values(), ids=UNITS)
def test_the_work_grows_with_the_length_of_the_text(unit):
    short, long = (work(lambda length=length: gated(repeated(unit, length))) for length in (SHORT, LONG))
    assert long <= RATIO_MAX * short + 2_000


def test_the_counter_sees_quadratic_work():
    def quadratic(length):
        for _ in range(length):
            for _ in range(length):
                pass

    short, long = (work(lambda length=length: quadratic(length)) for length in (50, 400))
    assert long > RATIO_MAX * short


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_verifier_uses_no_pattern_at_all(path):
    """What does not exist cannot be made to backtrack."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
        module = node.module or "" if isinstance(node, ast.ImportFrom) else ""
        assert not {"re", "regex", "re2", "fnmatch"} & {*names, module}
