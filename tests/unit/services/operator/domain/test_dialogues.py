import json

import pytest

from services.operator.domain.dialogues import read_dialogues
from shared.errors import Invalid


def row(name="d", domains=("bank",), events=()):
    return json.dumps({"dialogue": name, "domains": domains, "events": events})


SAID = {"at": 10, "source": "customer", "text": "Hi"}


def test_only_what_customers_said_is_kept_with_its_time_from_the_beginning():
    events = [SAID, {"at": 12, "source": "agent", "text": "Hello"}, {"at": 17, "source": "customer", "text": "Help"}]

    [dialogue] = read_dialogues([row(events=events)])

    assert [(line.text, line.after_seconds) for line in dialogue.lines] == [("Hi", 0.0), ("Help", 7.0)]


def test_a_dialogue_of_another_domain_is_left_out():
    rows = [row("a", ["bank"], [SAID]), row("b", ["ride"], [SAID])]

    assert [dialogue.name for dialogue in read_dialogues(rows, domain="ride")] == ["b"]


def test_a_dialogue_without_a_customer_is_left_out():
    assert list(read_dialogues([row()])) == []


@pytest.mark.parametrize("broken", ["{", "[]", '{"events": 3}', '{"dialogue": 1, "events": [{"source": "customer"}]}'])
def test_a_broken_row_is_named_by_its_line(broken):
    with pytest.raises(Invalid, match="line 2 is no dialogue"):
        list(read_dialogues([row(events=[SAID]), broken]))
