"""Recorded claims and audit labels survive the way through a file; bad rows are told by line."""

import pytest
from pydantic import ValidationError

from services.operator.hazard.records import AuditLabel, RecordedClaim, read_claims, read_labels, to_line
from shared.errors import Invalid
from shared.events.examples import example


def recorded():
    return RecordedClaim(**example("claim.judged").data.model_dump(), id="e1", tenant="acme", conversation="chat-1")


def test_a_claim_reads_back_as_it_was_written():
    assert list(read_claims([to_line(recorded()), "\n"])) == [recorded()]


def test_a_label_reads_back_as_it_was_written():
    label = AuditLabel(turn_id="t", position=2, draft_wrong=True, final_wrong=False, sample="flagged")

    assert list(read_labels([to_line(label)])) == [label]


@pytest.mark.parametrize("row", ["{", "[]", "{}", '{"position": 0}'])
def test_a_bad_row_is_refused_with_its_line(row):
    with pytest.raises(Invalid, match="line 2"):
        list(read_claims([to_line(recorded()), row]))


@pytest.mark.parametrize(
    "fields",
    [{}, {"turn_id": "t", "position": 1, "flagged": True}, {"turn_id": "t"}],
    ids=["about nothing", "about both", "without a position"],
)
def test_a_label_is_about_a_recorded_claim_or_from_elsewhere(fields):
    with pytest.raises(ValidationError):
        AuditLabel(draft_wrong=True, **fields)


def test_a_claim_of_a_newer_writer_is_read():
    """Unknown fields are ignored and an unknown verdict is `other`: see shared/events."""
    row = to_line(recorded()).replace('"contradicted"', '"doubtful"').replace("{", '{"new": 1, ', 1)

    assert next(iter(read_claims([row]))).draft_verdict.value == "other"
