"""Mending changes what failed, and nothing else."""

from hypothesis import given
from hypothesis import strategies as st

from services.verifier.domain import revision
from services.verifier.domain.blueprints import Edit
from services.verifier.domain.claims import pieces_of, reply_of
from services.verifier.domain.gate import Ground
from shared.events.claims import Correction, Judge, Verdict
from shared.events.turns import FactRecord, Segment

FACTS = (
    FactRecord(id="fee", text="The current account costs 4.50 euros a month.", source="playbook"),
    FactRecord(id="wire", text="An international transfer takes 3 to 5 working days.", source="playbook"),
)
GROUND = Ground({fact.id: fact for fact in FACTS}, frozenset(), "")


def gated(*segments):
    return tuple(revision.gated(piece, GROUND) for piece in pieces_of(segments, GROUND))


def claim(text, *facts):
    return Segment(kind="claim", text=text, fact_ids=facts)


def test_the_sources_value_is_put_in_first():
    pieces = revision.mended_by_code(gated(claim("The current account costs 9 euros a month.", "fee")), GROUND)
    assert reply_of(pieces) == "The current account costs 4.50 euros a month."
    assert pieces[0].correction is Correction.VALUE_RESTORED
    assert (pieces[0].first, pieces[0].verdict) == (Verdict.CONTRADICTED, Verdict.SUPPORTED)


def test_a_segment_is_left_out_when_the_reply_says_something_without_it():
    pieces = revision.mended_by_code(gated(claim("It is free."), claim(FACTS[0].text, "fee")), GROUND)
    assert reply_of(pieces) == FACTS[0].text
    assert pieces[0].correction is Correction.DROPPED
    assert pieces[0].first is Verdict.UNSUPPORTED


def test_the_last_thing_said_is_not_left_out_for_greetings():
    pieces = gated(claim("It is free."), Segment(kind="social", text="Hello!"))
    mended = revision.mended_by_code(pieces, GROUND)
    assert mended == pieces
    assert mended[0].failing


def test_of_two_that_fail_neither_counts_as_something_said():
    mended = revision.mended_by_code(gated(claim("It is free."), claim("It is safe.")), GROUND)
    assert [piece.dropped for piece in mended] == [False, False]


def edit(*segments):
    made = [
        {
            "segment": f"S{number}",
            "kind": kind,
            "claim_kind": "fact",
            "fact_ids": facts,
            "value": "",
            "open_question": "",
            "text": text,
        }
        for number, (kind, text, facts) in enumerate(segments, 1)
    ]
    return Edit.model_validate({"segments": made})


def edited(pieces, *segments):
    failing = [piece for piece in pieces if piece.failing and not piece.open]
    return revision.edited(pieces, failing, edit(*segments), FACTS, GROUND)


def test_an_edited_segment_goes_through_the_gate_again():
    good, bad = (
        edited(gated(claim("It is free.")), ("claim", text, ["F1"]))[0]
        for text in (FACTS[0].text, "It costs 1 euro a month, and 2 euros a year.")
    )
    assert (good.verdict, good.correction) == (Verdict.SUPPORTED, Correction.EDITED)
    assert bad.verdict is Verdict.CONTRADICTED


def test_an_edit_may_turn_a_claim_into_a_question_or_nothing():
    asked, gone, hidden = (
        edited(gated(claim("It is free.")), (kind, text, []))[0]
        for kind, text in (("question", "Which account do you mean?"), ("claim", " "), ("social", "You get 9 euros."))
    )
    assert (asked.verdict, asked.dropped) == (Verdict.SUPPORTED, False)
    assert gone.dropped
    assert (hidden.verdict, hidden.judge) == (Verdict.UNSUPPORTED, Judge.CODE)


def test_an_edit_of_the_wrong_form_is_complained_of():
    assert revision.complaint(edit(("claim", "x", ["F1"])), 1, 2) is None
    assert revision.complaint(edit(), 1, 2)
    assert revision.complaint(edit(("claim", "x", ["F3"])), 1, 2)
    assert revision.complaint(edit(("claim", "x", [])), 1, 2)
    assert revision.complaint(edit(("social", "x", [])), 1, 2) is None


TEXTS = st.sampled_from(
    [
        FACTS[0].text,
        FACTS[1].text,
        "The current account costs 9 euros a month.",
        "It is free.",
        "  Odd\tspacing stays,  and so \u00e9 does this ",
    ]
)
SEGMENTS = st.lists(
    st.builds(
        Segment,
        kind=st.sampled_from(["claim", "social", "question", "action"]),
        text=TEXTS | st.text(max_size=30),
        fact_ids=st.lists(st.sampled_from(["fee", "wire"]), max_size=2).map(tuple),
    ),
    max_size=6,
)


@given(SEGMENTS, st.text(max_size=30))
def test_what_passed_is_frozen_byte_for_byte_through_every_repair(segments, written):
    pieces = gated(*segments)
    passed = {place: piece.segment for place, piece in enumerate(pieces) if not piece.failing or piece.open}
    mended = revision.mended_by_code(pieces, GROUND)
    failing = [piece for piece in mended if piece.failing and not piece.open]
    final = edited(mended, *[("claim", written, ["F1"])] * len(failing))
    assert len(final) == len(pieces)
    for place, segment in passed.items():
        assert final[place].segment is segment
        assert not final[place].dropped


@given(SEGMENTS)
def test_no_repair_calls_a_claim_supported_that_states_a_foreign_value(segments):
    for piece in revision.mended_by_code(gated(*segments), GROUND):
        if piece.is_claim and not piece.dropped and piece.verdict is Verdict.SUPPORTED:
            assert revision.gated(piece.rewritten(piece.segment, piece.correction), GROUND).verdict is Verdict.SUPPORTED
