"""The guidelines of a turn, with its instructions among them."""

from shared.events.turns import Instruction, Matching
from shared.playbook.active import active_guidelines
from shared.playbook.model import Criticality, Guideline

KNOWN = {name: Guideline(id=name, condition=f"c {name}", action="x") for name in ("a", "b", "c")}


def test_they_come_in_matchings_order_and_what_is_not_known_is_left_out() -> None:
    matching = Matching(active=("c", "retired", "a"))
    assert [guideline.id for guideline in active_guidelines(matching, KNOWN)] == ["c", "a"]


def test_an_instruction_counts_as_a_guideline() -> None:
    step = Instruction(id="return.ask", condition="the step is due", action="Ask for the number")
    found = active_guidelines(Matching(active=("return.ask", "a"), instructions=(step,)), KNOWN)
    assert [(g.id, g.condition, g.action) for g in found] == [
        ("return.ask", "the step is due", "Ask for the number"),
        ("a", "c a", "x"),
    ]
    assert (found[0].criticality, found[0].composition, found[0].tags) == (Criticality.MEDIUM, None, ())


def test_an_instruction_that_is_not_active_is_none() -> None:
    step = Instruction(id="return.ask", condition="c", action="a")
    assert active_guidelines(Matching(active=("a",), instructions=(step,)), KNOWN) == (KNOWN["a"],)
