"""The model's answer: when it is complete, and what follows from it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.matcher.domain.blueprints import (
    Check,
    Choice,
    FullAnswer,
    JourneyCheck,
    PlainAnswer,
    Reapplication,
    full_blueprint,
    numbers,
    plain_blueprint,
)
from services.matcher.domain.candidates import Candidate, Kind, already_applied, of_guideline
from services.matcher.domain.compiled import compiled
from services.matcher.domain.matching import applying, by_importance, complaint, unknown, verdicts
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
) -> PlainAnswer:
    return PlainAnswer(checks=checks, reapplications=reapplications, principles=principles)


def numbered(playbook: Playbook) -> dict[str, Candidate]:
    return {f"G{place}": candidate for place, candidate in enumerate(compiled(playbook).candidates, start=1)}


def test_each_guideline_is_asked_about_by_its_kind(playbook: Playbook) -> None:
    assert [(number, c.id, c.kind) for number, c in numbered(playbook).items()] == [
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
    assert already_applied(numbered(playbook).values(), applied) == {"card-lost", "fee", "upsell", "ask-branch"}


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
    playbook: Playbook, broken: PlainAnswer, complaint_begins: str | None
) -> None:
    found = complaint(broken, numbered(playbook), {"G6"}, ())
    assert (found is None) if complaint_begins is None else (found or "").startswith(complaint_begins)


@given(st.data())
def test_any_answer_without_complaint_gives_each_candidate_one_verdict(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 12))
    low = data.draw(st.sets(st.integers(1, count)))
    rank = {True: Criticality.LOW, False: Criticality.HIGH}
    candidates = {
        f"G{n}": of_guideline(Guideline(id=f"g{n}", condition="c", action="a", criticality=rank[n in low]))
        for n in range(1, count + 1)
    }
    asked = st.sampled_from(numbers("G", count))
    given_answer = answer(
        tuple(check(n, data.draw(st.sampled_from(["applies", "not_now"]))) for n in data.draw(st.lists(asked))),
        (),
        tuple(data.draw(st.lists(asked))),
    )
    if complaint(given_answer, candidates, (), ()) is None:
        found = verdicts(given_answer, candidates)
        assert [match.guideline_id for match in found] == [c.id for c in candidates.values()]
        assert MatchVerdict.UNKNOWN not in {match.verdict for match in found}


def test_verdicts_carry_their_evidence_and_principles_go_by_their_number(playbook: Playbook) -> None:
    found = verdicts(
        answer((check("G2", "applies"), check("G3")), (again("G6", "applies"),), ("G1",)),
        numbered(playbook),
    )
    assert {m.guideline_id for m in found if m.verdict is MatchVerdict.APPLIES} == {"greet", "card-lost", "ask-branch"}
    assert found[1] == Match(guideline_id="card-lost", evidence="because G2", verdict=MatchVerdict.APPLIES)


def test_choices_and_journeys_are_judged_once_each_by_their_own_queries() -> None:
    candidates = {
        "G1": of_guideline(Guideline(id="unclear", condition="c"), ("a", "b")),
        "G2": of_guideline(Guideline(id="a", condition="c", action="x")),
    }
    choice = Choice(guideline="G1", evidence="e", asked_before="no", settled="no", options=("G2",), verdict="clear")
    course = JourneyCheck(journey="J1", situation="s", course="goes_on", back_to="none", steps=())
    full = FullAnswer(checks=(check("G2"),), reapplications=(), principles=(), choices=(choice,), journeys=(course,))
    assert complaint(full, candidates, (), {"J1"}) is None
    for field, told in {"choices": "choices: missing G1", "journeys": "journeys: missing J1"}.items():
        assert complaint(full.model_copy(update={field: ()}), candidates, (), {"J1"}) == told
    assert (complaint(full, candidates, (), {"J1", "J2"}) or "").startswith("journeys: missing J2")
    in_checks = full.model_copy(update={"checks": (check("G1"), check("G2"))})
    assert complaint(in_checks, candidates, (), {"J1"}) == "checks: not to be judged there G1"


def test_unknown_guidelines_count_by_their_criticality_and_nothing_unknown_begins(playbook: Playbook) -> None:
    candidates = [
        *numbered(playbook).values(),
        Candidate("journey:j", Kind.BEGINNING, "c", criticality=Criticality.HIGH),
        Candidate("head", Kind.CHOICE, "c", criticality=Criticality.HIGH, options=("a", "b")),
    ]
    nothing_known = unknown(candidates)
    assert applying(nothing_known, candidates, [Criticality.HIGH]) == ("card-lost",)
    assert applying(nothing_known, candidates, []) == ()


def test_the_most_critical_come_first_else_the_order_stands() -> None:
    criticality = {"low": Criticality.LOW, "high": Criticality.HIGH, "medium": Criticality.MEDIUM}
    assert by_importance(["low", "a", "medium", "high"], criticality) == ("high", "a", "medium", "low")


def test_the_schema_allows_the_candidates_numbers_and_nothing_else() -> None:
    schema = plain_blueprint(3).schema()
    item = schema["$defs"]["Check"]
    assert item["properties"]["guideline"]["enum"] == ["G1", "G2", "G3"]
    assert schema["properties"]["principles"]["items"]["enum"] == ["G1", "G2", "G3"]
    assert list(item["properties"]) == ["guideline", "condition", "evidence", "verdict"]


@pytest.mark.parametrize(("candidates", "journeys", "states"), [(3, 0, 0), (0, 1, 4), (3, 2, 4)])
def test_the_full_schema_has_no_empty_enum(candidates: int, journeys: int, states: int) -> None:
    def enums(node: object) -> list[object]:
        if isinstance(node, dict):
            return [node.get("enum", ["x"]), *(found for inner in node.values() for found in enums(inner))]
        return [found for inner in node for found in enums(inner)] if isinstance(node, list) else []

    schema = full_blueprint(candidates, journeys, states).schema()
    assert all(enums(schema))
    if states:
        assert schema["$defs"]["Step"]["properties"]["leads_to"]["enum"][-2:] == ["end", "none"]
