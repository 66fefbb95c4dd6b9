"""
Asking for a structured answer: what is accepted, what is discarded and asked anew, and what it costs.
"""

import asyncio
import json
from typing import Literal

import pytest

from shared.arq.blueprint import Blueprint, Queries
from shared.arq.prompt import Prompt, Section
from shared.llm.base import Completion, Usage
from shared.llm.errors import InvalidAnswer, ModelUnavailable
from shared.llm.scripted import ScriptedModel
from shared.llm.structured import TEXT_LENGTH_MAX, ask


class Item(Queries):
    """One of several."""

    note: str
    verdict: Literal["yes", "no"]


class Verdicts(Queries):
    """The answer of these tests."""

    thoughts: str
    score: float
    items: list[Item]


BLUEPRINT = Blueprint("verdicts_v1", Verdicts)
PROMPT = Prompt(static=(Section("rules", "Be brief."),), dynamic=(Section("turn", data={"text": "hi"}),))
GOOD = {"thoughts": "fine", "score": 0.5, "items": [{"note": "n", "verdict": "yes"}]}
COST = Usage(10, 20, calls=1)


class CountingModel(ScriptedModel):
    """A scripted model that keeps count, as the real client does."""

    def __init__(self, script):
        super().__init__(script)
        self.counted = []

    def count_answer(self, purpose, kind):
        self.counted.append((purpose, kind))


def said(text, finish="stop"):
    return Completion(text, finish, COST, "m-1")


async def asking(model, **changes):
    deadline = asyncio.get_running_loop().time() + 60
    return await ask(model, BLUEPRINT, PROMPT, purpose="judge", tenant="acme", deadline=deadline, **changes)


async def test_a_good_answer_takes_one_call():
    model = CountingModel([said(json.dumps(GOOD))])
    answered = await asking(model)
    assert answered.answer == Verdicts.model_validate(GOOD)
    assert (answered.usage, answered.model, answered.attempts) == (COST, "m-1", 1)
    assert model.counted == []


async def test_the_request_carries_prompt_schema_and_limits():
    model = ScriptedModel([GOOD])
    await asking(model, temperature=0.4, output_tokens_max=99)
    (request,) = model.requests
    assert request.messages == PROMPT.messages()
    assert (request.schema_name, request.schema) == ("verdicts_v1", BLUEPRINT.schema())
    assert (request.purpose, request.tenant, request.temperature, request.output_tokens_max) == (
        "judge",
        "acme",
        0.4,
        99,
    )


FENCED = f"```json\n{json.dumps(GOOD)}\n```"


@pytest.mark.parametrize("text", [FENCED, f"\n{FENCED}\n\n", FENCED.replace("json", ""), FENCED.replace("\n", "\r\n")])
async def test_one_fence_around_the_whole_answer_is_taken_off_and_counted(text):
    model = CountingModel([said(text)])
    assert (await asking(model)).attempts == 1
    assert model.counted == [("judge", "fenced")]


BAD = {
    "truncated": (said(json.dumps(GOOD)[:20], "length"), "truncated"),
    "cut off without being told": (said(json.dumps(GOOD)[:20]), "not_json"),
    "refused": (said("", "refusal"), "refused"),
    "refused with a text": (said(json.dumps(GOOD), "refusal"), "refused"),
    "empty": (said(""), "empty"),
    "blank": (said(" \n"), "empty"),
    "oversized": (said(" " * TEXT_LENGTH_MAX + json.dumps(GOOD)), "oversized"),
    "prose": (said("I think so."), "not_json"),
    "fenced in prose": (said(f"Sure!\n{FENCED}\nAnything else?"), "not_json"),
    "two fences": (said(f"{FENCED}\n{FENCED}"), "not_json"),
    "not a number": (said(json.dumps(GOOD | {"score": float("nan")})), "not_json"),
    "infinite": (said(json.dumps(GOOD | {"score": float("inf")})), "not_json"),
    "two documents": (said(json.dumps(GOOD) + json.dumps(GOOD | {"score": 1.0})), "not_json"),
    "2,000 levels deep": (said("[" * 2_000 + "]" * 2_000), "not_json"),
    "half a surrogate pair": (said('{"thoughts": "\\ud83d", "score": 1, "items": []}'), "not_json"),
    "no object": (said("[]"), "schema"),
    "null": (said("null"), "schema"),
    "wrong in enum": (said(json.dumps(GOOD | {"items": [{"note": "", "verdict": "maybe"}]})), "schema"),
    "an extra key": (said(json.dumps(GOOD | {"extra": 1})), "schema"),
    "a missing key": (said(json.dumps({"thoughts": "x", "score": 1.0})), "schema"),
    "a number as a string": (said(json.dumps(GOOD | {"score": "0.5"})), "schema"),
    "stopped by the adapter for its size": (InvalidAnswer("oversized", "too long", usage=COST), "oversized"),
}


@pytest.mark.parametrize(("line", "kind"), BAD.values(), ids=BAD.keys())
async def test_a_bad_answer_is_discarded_and_asked_anew_once(line, kind):
    model = CountingModel([line, said(json.dumps(GOOD))])
    answered = await asking(model)
    assert answered.attempts == 2
    assert answered.usage == COST + COST
    assert model.counted == [("judge", kind)]


@pytest.mark.parametrize(("line", "kind"), BAD.values(), ids=BAD.keys())
async def test_two_bad_answers_are_an_invalid_answer_with_their_cost(line, kind):
    model = CountingModel([line, line])
    with pytest.raises(InvalidAnswer) as caught:
        await asking(model)
    assert caught.value.kind == kind
    assert caught.value.usage == COST + COST
    assert model.counted == [("judge", kind)] * 2


async def test_the_rejected_answer_never_enters_the_context():
    model = ScriptedModel(["UNIQUE-WRONG-ANSWER", GOOD])
    await asking(model)
    first, second = model.requests
    assert second.messages == first.messages
    assert "UNIQUE" not in str(second)


async def test_the_second_try_is_hotter_and_no_longer():
    model = ScriptedModel(["prose", GOOD])
    await asking(model, temperature=0.1, output_tokens_max=100)
    assert [request.temperature for request in model.requests] == [0.1, pytest.approx(0.3)]
    assert [request.output_tokens_max for request in model.requests] == [100, 100]


async def test_a_truncated_answer_is_asked_anew_with_twice_the_room():
    model = ScriptedModel([said("{", "length"), GOOD])
    await asking(model, output_tokens_max=100)
    assert [request.output_tokens_max for request in model.requests] == [100, 200]
    assert len({request.temperature for request in model.requests}) == 1, "another draw is not what it lacked"


async def test_the_temperature_never_falls_and_rises_to_one_at_most():
    for start, then in ((0.9, 1.0), (1.5, 1.5)):
        model = ScriptedModel(["prose", GOOD])
        await asking(model, temperature=start)
        assert model.requests[1].temperature == then


async def test_a_complaint_of_the_check_is_a_reason_to_ask_anew():
    model = CountingModel([GOOD | {"thoughts": "wrong"}, GOOD])
    answered = await asking(model, check=lambda answer: "restate it" if answer.thoughts == "wrong" else None)
    assert answered.answer.thoughts == "fine"
    assert model.counted == [("judge", "check")]


async def test_a_second_complaint_of_the_check_is_an_invalid_answer():
    with pytest.raises(InvalidAnswer, match="restate it") as caught:
        await asking(ScriptedModel([GOOD, GOOD]), check=lambda _: "restate it")
    assert caught.value.kind == "check"


async def test_an_invalid_answer_tells_place_and_type_and_nothing_that_was_said():
    said_wrong = GOOD | {"items": [{"note": "my PIN is 1234", "verdict": "PIN 1234"}], "PIN 1234": 1}
    with pytest.raises(InvalidAnswer) as caught:
        await asking(ScriptedModel([said_wrong, said_wrong]))
    assert "items.0.verdict: literal_error" in str(caught.value)
    assert "the answer: extra_forbidden" in str(caught.value)
    assert "PIN" not in str(caught.value)


async def test_an_unavailable_model_is_not_asked_again_here():
    model = ScriptedModel([ModelUnavailable("timeout", "slow")])
    with pytest.raises(ModelUnavailable):
        await asking(model)
    assert len(model.requests) == 1
