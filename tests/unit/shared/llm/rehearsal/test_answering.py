"""
What the rehearsal model says depends on the request and the seed, and on nothing else.
"""

import json
from collections import Counter

import jsonschema
import pytest

from shared.arq.prompt import Prompt, Section
from shared.llm.rehearsal.answering import UnreadableQuestion, answer, http_fault, read_question
from shared.llm.rehearsal.settings import RehearsalSettings

SCHEMA = {
    "type": "object",
    "properties": {"word": {"type": "string"}, "draw": {"type": "number"}},
    "required": ["word", "draw"],
    "additionalProperties": False,
}
PROMPT = Prompt(
    static=(Section("catalogue", data=["g1"]),), dynamic=(Section("turn", "Now.", data={"text": "hi < there"}),)
)


def body(schema=SCHEMA, name="unit_v1", **changes):
    document = {
        "model": "m",
        "messages": [{"role": message.role, "content": message.content} for message in PROMPT.messages()],
        "response_format": {"type": "json_schema", "json_schema": {"name": name, "schema": schema}},
    }
    return json.dumps({**document, **changes}).encode()


def say(sent, rules=None, **settings):
    return answer(read_question(sent), sent, rules or {}, RehearsalSettings(**settings))


def rule(situation):
    return {"word": situation.sections["turn"]["text"], "draw": situation.random.random()}


def test_a_rule_answers_its_schema_from_the_data_of_the_prompt():
    said = json.loads(say(body(), {"unit_v1": rule}).text)
    assert said["word"] == "hi < there"


def test_without_a_rule_the_answer_is_the_least_that_the_schema_allows():
    reply = say(body(name="unknown_v1"), {"unit_v1": rule})
    assert json.loads(reply.text) == {"word": "", "draw": 0.0}
    jsonschema.validate(json.loads(reply.text), SCHEMA)


def test_the_same_request_and_seed_give_the_same_answer():
    rules = {"unit_v1": rule}
    assert say(body(), rules, seed=1) == say(body(), rules, seed=1)
    assert say(body(), rules, seed=1) != say(body(), rules, seed=2)
    assert say(body(), rules, seed=1) != say(body(temperature=0.3), rules, seed=1)


def test_rates_of_errors_and_forms_do_not_shift_what_a_rule_draws():
    rules = {"unit_v1": rule}
    plain = say(body(), rules)
    assert say(body(), rules, error_rate=1.0, hallucination_rate=0.5) == plain


def test_malformed_answers_come_at_their_rate_in_all_forms():
    replies = [say(body(seed=number), malformed_rate=0.5) for number in range(600)]
    good = sum(reply.text == '{"word":"","draw":0.0}' for reply in replies)
    assert 240 < good < 360
    assert len(Counter((reply.finish, bool(reply.refusal), reply.text[:4]) for reply in replies)) >= 6


def test_an_error_passes_when_the_request_comes_again():
    settings = RehearsalSettings(error_rate=0.5)
    sent = [body(seed=number) for number in range(400)]
    first = [http_fault(one, 0, settings) for one in sent]
    again = [http_fault(one, 1, settings) for one in sent]
    assert 140 < sum(map(bool, first)) < 260
    assert any(one and not two for one, two in zip(first, again, strict=True))
    assert first == [http_fault(one, 0, settings) for one in sent]


def test_an_answer_beyond_the_output_limit_is_cut():
    reply = say(body(max_tokens=2))
    assert (reply.text, reply.finish) == ('{"word":', "length")


def test_plain_chat_is_told_what_it_talks_to():
    sent = json.dumps({"messages": [{"role": "user", "content": "hi"}]}).encode()
    assert "rehearsal" in say(sent).text


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b'{"messages": "hi"}',
        json.dumps({"messages": [], "response_format": {"type": "json_schema"}}).encode(),
        json.dumps({"messages": [], "response_format": {"type": "json_schema", "json_schema": {"schema": 1}}}).encode(),
    ],
)
def test_an_unreadable_request_is_told_as_such(sent):
    with pytest.raises(UnreadableQuestion):
        read_question(sent)


def test_input_tokens_are_characters_by_four():
    sent = json.dumps(
        {"messages": [{"role": "user", "content": "x" * 9}, {"role": "user", "content": ["parts"]}, 1]}
    ).encode()
    assert read_question(sent).input_tokens == 3
