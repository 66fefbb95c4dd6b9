"""
Recorded claims and audit labels: JSON lines ↔ typed records.

A recorded claim is the body of a `claim.judged` event with the event's id, tenant and conversation beside it. An audit
label is what a person found about a claim, whatever the verifier said.
"""

from collections.abc import Iterable, Iterator
from typing import Literal, TypeVar

from pydantic import Field, ValidationError, model_validator

from shared.errors import Invalid
from shared.events.base import Body
from shared.events.claims import ClaimJudged


class RecordedClaim(ClaimJudged):
    """One line of a recorded file."""

    id: str = Field(min_length=1)
    """of the event: a repeated id is the same event again"""
    tenant: str
    """whose conversation it is"""
    conversation: str
    """within the tenant"""


class AuditLabel(Body):
    """
    What a person found about one claim.

    With `turn_id` and `position` it labels a recorded claim. With `flagged` instead it comes from elsewhere (a labelled
    set) and tells only how often the verifier errs.
    """

    turn_id: str = ""
    """the turn of the recorded claim"""
    position: int = Field(0, ge=0)
    """of the claim in the draft"""
    flagged: bool | None = None
    """whether the verifier found the drafted claim wrong; only where no recorded claim is named"""
    draft_wrong: bool
    """the claim as it was drafted is wrong"""
    final_wrong: bool | None = None
    """what was sent in its place is wrong"""
    sample: Literal["random", "flagged"] = "random"
    """`random`: whole answers drawn blindly. `flagged`: picked because the verifier flagged the claim"""

    @model_validator(mode="after")
    def _names_a_claim_or_a_verdict(self) -> "AuditLabel":
        if (self.flagged is None) == (not self.turn_id):
            raise ValueError("give either turn_id and position, or flagged")
        if self.turn_id and not self.position:
            raise ValueError("position counts from 1")
        return self


R = TypeVar("R", bound=Body)


def read_claims(rows: Iterable[str]) -> Iterator[RecordedClaim]:
    """
    The claims of a recorded file.

    Raises:
        Invalid: (`bad_record`) a row is no recorded claim; the message names its line.

    """
    return _read(RecordedClaim, rows)


def read_labels(rows: Iterable[str]) -> Iterator[AuditLabel]:
    """
    The labels of an audit file.

    Raises:
        Invalid: (`bad_record`) a row is no audit label; the message names its line.

    """
    return _read(AuditLabel, rows)


def to_line(record: Body) -> str:
    """*record* as a line of a file."""
    return record.model_dump_json(exclude_defaults=True) + "\n"


def _read(model: type[R], rows: Iterable[str]) -> Iterator[R]:
    for number, row in enumerate(rows, start=1):
        if not row.strip():
            continue
        try:
            yield model.model_validate_json(row)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "the row"
            raise Invalid("bad_record", f"line {number} is no {model.__name__}: {where}: {first['msg']}") from None
