"""What a turn's identity may hold."""

import json

import pytest
from pydantic import ValidationError

from shared.events.turns import Turn

TURN = {
    "id": "t-1",
    "tenant": "acme",
    "conversation": "c-1",
    "epoch": 1,
    "agent": "bank",
    "playbook_version": "v1",
    "opened_at": "2026-05-04T09:30:00Z",
    "deadline": "2026-05-04T09:31:00+02:00",
}


@pytest.mark.parametrize("time", ["2026-05-04T09:30:00", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
def test_a_time_without_an_offset_or_at_the_calendars_ends_is_refused(time):
    with pytest.raises(ValidationError):
        Turn.model_validate_json(json.dumps(TURN | {"opened_at": time}), strict=True)


def test_times_compare_whatever_their_offsets():
    turn = Turn.model_validate_json(json.dumps(TURN), strict=True)

    assert turn.deadline < turn.opened_at


@pytest.mark.parametrize(("characters", "taken"), [(256, True), (257, False)])
def test_an_identifier_fits_the_headers_of_the_records_that_name_it(characters, taken):
    text = json.dumps(TURN | {"id": "t" * characters})

    if taken:
        assert len(Turn.model_validate_json(text, strict=True).id) == characters
    else:
        with pytest.raises(ValidationError):
            Turn.model_validate_json(text, strict=True)
