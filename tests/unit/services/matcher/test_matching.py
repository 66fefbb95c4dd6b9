"""The model's answer: when it is complete, and what follows from it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.matcher.domain.blueprints import Check, MatchAnswer, Reapplication, match_blueprint, numbers
from services.matcher.domain.candidates import Kind, already_applied, enabled, numbered
from services.matcher.domain.matching import by_importance, complaint, taken_as_applying, unknown, verdicts
from shared.events.turns import Applied, Match, MatchVerdict
from shared.playbook.model import Criticality, Guideline, Playbook


def check(number: str, verdict: str = "not_now") -> Check:
    return Check(guideline=number, condition="c", evidence=f"because {number}", verdict=verdict)


def again(number: str, verdict: str = "not_now") -> Reapplication:
    return Reapplication(
        guideline=number, condition="c", evidence="e", met_again="no", outstanding="nothing", verdict=verdict
    )


def answer(
    checks: tuple[Check, ...] = (), reapplications: tuple[Reapplication, ...] = (), principles: tuple[str, ...] = ()
) -> MatchAnswer:
    return MatchAnswer(checks=checks, reapplications=reapplications, principles=principles)


def test_each_guideline_is_asked_about_by_its_kind(playbook: Playbook) -> None:
    candidates = numbered(enabled(playbook))
    assert [(c.number, c.guideline.id, c.kind) for c in candidates] == [
        ("G1", "greet", Kind.PRINCIPLE),
        ("G2", "card-lost", Kind.ACTION),
        ("G3", "member", Kind.OBSERVATION),
        ("G4", "fee", Kind.ACTION),
        ("G5", "upsell", Kind.INTENTION),
        ("G6", "ask-branch", Kind.ACTION),
        ("G7", "calm", Kind.ACTION),
    ]


def test_what_was_performed_is_asked_about_again_unless_it_is_never_done_with(playbook: Playbook) -> None:
    """Principles, observations and continuous actions are judged afresh each turn, whatever replies did before."""
    applied = {guideline.id: Applied(count=1, epoch=1) for guideline in playbook.guidelines}
    candidates = numbered(enabled(playbook))
    assert already_applied(candidates, applied) == {"G2", "G4", "G5", "G6"}


COMPLETE = answer(tuple(map(check, ("G2", "G3", "G4", "G5", "G7"))), (again("G6"),), ("G1",))


@pytest.mark.parametrize(
    ("broken", "complaint_begins"),
    [
        (COMPLETE, None),
        (COMPLETE.model_copy(update={"principles": ()}), None),
        (COMPLETE.model_copy(update={"checks": (*COMPLETE.checks, check("G1"))}), None),
        (COMPLETE.model_copy(update={"checks": COMPLETE.checks[1:]}), "checks: missing G2"),
        (COMPLETE.model_copy(update={"checks": (*COMPLETE.checks, check("G2"))}), "checks: more than once G2"),
        (COMPLETE.model_copy(update={"checks": (*COMPLETE.checks, check("G9"))}), "checks: not to be judged there G9"),
        (COMPLETE.model_copy(update={"checks": (*COMPLETE.checks, check("G6"))}), "checks: not to be judged there G6"),
        (COMPLETE.model_copy(update={"reapplications": ()}), "reapplications: missing G6"),
        (COMPLETE.model_copy(update={"reapplications": (again("G6"), again("G6"))}), "reapplications: more than once"),
        (COMPLETE.model_copy(update={"principles": ("G1", "G2")}), "principles: not to be judged there G2"),
        (answer(), "checks: missing G2, G3, G4, G5, G7"),
    ],
)
def test_every_candidate_is_judged_once_by_the_queries_of_its_kind(
    playbook: Playbook, broken: MatchAnswer, complaint_begins: str | None
) -> None:
    found = complaint(broken, numbered(enabled(playbook)), {"G6"})
    assert (found is None) if complaint_begins is None else (found or "").startswith(complaint_begins)


@given(st.data())
def test_any_answer_without_complaint_gives_each_candidate_one_verdict(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 12))
    low = data.draw(st.sets(st.integers(1, count)))
    candidates = numbered(
        tuple(
            Guideline(
                id=f"g{n}", condition="c", action="a", criticality=Criticality.LOW if n in low else Criticality.HIGH
            )
            for n in range(1, count + 1)
        ),
    )
    asked = st.sampled_from(numbers(count))
    given_answer = answer(
        tuple(check(n, data.draw(st.sampled_from(["applies", "not_now"]))) for n in data.draw(st.lists(asked))),
        (),
        tuple(data.draw(st.lists(asked))),
    )
    if complaint(given_answer, candidates, frozenset()) is None:
        found = verdicts(given_answer, candidates)
        assert [match.guideline_id for match in found] == [c.guideline.id for c in candidates]
        assert MatchVerdict.UNKNOWN not in {match.verdict for match in found}


def test_verdicts_carry_their_evidence_and_principles_go_by_their_number(playbook: Playbook) -> None:
    candidates = numbered(enabled(playbook))
    found = verdicts(
        answer((check("G2", "applies"), check("G3")), (again("G6", "applies"),), ("G1",)),
        candidates,
    )
    assert {m.guideline_id for m in found if m.verdict is MatchVerdict.APPLIES} == {"greet", "card-lost", "ask-branch"}
    assert found[1] == Match(guideline_id="card-lost", evidence="because G2", verdict=MatchVerdict.APPLIES)


def test_unknown_guidelines_count_by_their_criticality(playbook: Playbook) -> None:
    guidelines = enabled(playbook)
    nothing_known = unknown(numbered(guidelines))
    assert taken_as_applying(nothing_known, guidelines, [Criticality.HIGH]) == ("card-lost",)
    assert taken_as_applying(nothing_known, guidelines, []) == ()


def test_the_most_critical_come_first_else_the_authors_order_stands(playbook: Playbook) -> None:
    assert [g.id for g in by_importance(enabled(playbook))][:2] == ["card-lost", "member"]
    assert by_importance(enabled(playbook))[-1].id == "greet"


def test_the_schema_allows_the_candidates_numbers_and_nothing_else() -> None:
    schema = match_blueprint(3).schema()
    item = schema["$defs"]["Check"]
    assert item["properties"]["guideline"]["enum"] == ["G1", "G2", "G3"]
    assert schema["properties"]["principles"]["items"]["enum"] == ["G1", "G2", "G3"]
    assert list(item["properties"]) == ["guideline", "condition", "evidence", "verdict"]
