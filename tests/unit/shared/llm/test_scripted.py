"""
The scripted model: what its own line kinds do. (That it behaves as a model is held by the port's suite.)
"""

import pytest

from shared.llm.base import Completion, Usage
from shared.llm.errors import ModelUnavailable
from shared.llm.scripted import ScriptedModel, ScriptExhausted


async def test_lines_are_said_in_order_and_requests_kept(make_request):
    whole = Completion("x", "length", Usage(1, 1, 1), "m")
    model = ScriptedModel([{"a": "é"}, "raw", whole])
    first, second = make_request(), make_request(purpose="draft")
    assert (await model.complete(first)).text == '{"a": "é"}'
    assert (await model.complete(second)).text == "raw"
    assert await model.complete(first) is whole
    assert model.requests == [first, second, first]


async def test_an_exception_in_the_script_is_raised_and_the_script_goes_on(make_request):
    model = ScriptedModel([ModelUnavailable("timeout", "slow"), "then"])
    with pytest.raises(ModelUnavailable):
        await model.complete(make_request())
    assert (await model.complete(make_request())).text == "then"


async def test_a_function_answers_by_the_request(make_request):
    model = ScriptedModel(lambda request: {"asked": request.purpose})
    assert (await model.complete(make_request(purpose="draft"))).text == '{"asked": "draft"}'


async def test_a_script_at_its_end_says_which_call_had_no_line(make_request):
    model = ScriptedModel(["only"])
    await model.complete(make_request())
    with pytest.raises(ScriptExhausted, match=r"call 2 \(purpose 'match', schema 'unit_v1'\)"):
        await model.complete(make_request())
