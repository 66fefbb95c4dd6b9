"""Limits that each may be chosen, and together must fit a record."""

import pytest

from services.conversations.domain.bounds import Bounds
from services.conversations.settings import ConversationsSection
from shared.errors import Fatal


def test_the_defaults_fit():
    Bounds.of(ConversationsSection().model_dump())


@pytest.mark.parametrize(
    "one", ["history_bytes_max", "variables_bytes_max", "calls_bytes_max", "covers_max", "applied_max"]
)
def test_each_limit_may_be_at_its_upper_end(one):
    [highest] = [bound.le for bound in ConversationsSection.model_fields[one].metadata if hasattr(bound, "le")]
    Bounds.of(ConversationsSection(**{one: highest}).model_dump())


def test_limits_that_together_exceed_a_record_are_refused_and_the_way_out_is_named():
    ends = {
        name: bound.le
        for name, field in ConversationsSection.model_fields.items()
        for bound in field.metadata
        if hasattr(bound, "le") and name.endswith("_max")
    }
    with pytest.raises(Fatal, match="HOLDFAST_CONVERSATIONS_HISTORY_BYTES_MAX"):
        Bounds.of(ConversationsSection(**ends).model_dump())
