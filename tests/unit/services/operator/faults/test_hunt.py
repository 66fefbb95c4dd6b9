"""
The hunt for canaries finds what is planted, and says when it saw nothing.
"""

from types import SimpleNamespace

import pytest

from services.operator.adapters.samples import bank_playbook
from services.operator.faults.hunt import (
    PromptHunt,
    RecordHunt,
    marked,
    owners,
    playbook_canary,
    prompts_are_of_one_tenant,
)
from services.operator.faults.post import canary
from services.operator.faults.records import RawRecord


def record(key=b"red:c", value=b"{}", headers=(), topic="turns.closed"):
    return RawRecord(topic, key, headers, value)


@pytest.mark.parametrize("word", [canary("blue"), playbook_canary("blue")])
def test_another_tenant_s_word_is_found_in_value_header_and_key(word):
    planted = word.encode()
    for one in (
        record(value=b'{"text":"%b"}' % planted),
        record(headers=(("ce_subject", planted),)),
        record(key=b"red:" + planted),
        record(value=None, headers=(("x", planted),), topic="dead.letters"),
    ):
        assert list(RecordHunt().look(one)) == [f"I4: a record of red on {one.topic} holds blue's canary"]


def test_a_tenant_s_own_words_and_the_records_of_others_are_no_leak():
    hunt = RecordHunt()
    assert list(hunt.look(record(value=canary("red").encode()))) == []
    assert list(hunt.look(record(key=b"heartbeat:x"))) == []
    assert (hunt.records, dict(hunt.marked)) == (2, {"turns.closed": 1})


def test_a_prompt_with_two_tenants_words_is_a_leak():
    hunt = PromptHunt()
    hunt(f"{canary('red')} {playbook_canary('red')}".encode())
    hunt(canary("blue").encode())
    world = SimpleNamespace(model=SimpleNamespace(look=hunt), broken=[], figures={})
    prompts_are_of_one_tenant(world)
    assert world.broken == []
    assert world.figures == {"prompts": "2 (red 1, blue 1, both 0)"}

    hunt(f"{canary('red')} {playbook_canary('blue')}".encode())
    prompts_are_of_one_tenant(world)
    assert world.broken == ["I4: 1 prompts hold words of more than one tenant"]


def test_a_hunt_that_saw_no_tenant_s_words_is_no_proof():
    world = SimpleNamespace(model=SimpleNamespace(look=PromptHunt()), broken=[], figures={})
    prompts_are_of_one_tenant(world)
    assert world.broken == ["no prompt held a word of red, blue: the hunt is blind"]


def test_the_playbook_carries_its_tenant_s_word_and_no_other():
    assert owners(marked(bank_playbook(), "red").model_dump_json().encode()) == {"red"}
