"""What recorded scenarios say of tool calls, and how calls are compared with it."""

import pytest

from services.operator.evaluation.handlers import judged_calls
from services.operator.evaluation.recorded import translated
from services.operator.evaluation.scenario import ExpectedCall, Scenario
from shared.events.tools import ToolCall

ACCOUNTS = {name: {"type": "string"} for name in ("from_account", "to_account", "pincode")}
PAY = {
    "name": "pay",
    "description": "Pay",
    "parameters": {"amount": {"type": "integer", "precedence": -3}} | ACCOUNTS,
    "required": ["amount"],
    "consequential": True,
}
LIST = {"name": "stock", "description": "Stock", "parameters": {}, "required": [], "consequential": False}


def recorded(told, *tools, **extra):
    made = {
        "id": "PS-1",
        "area": "e2e/tools",
        "name": "n",
        "guidelines": [{"id": "the rule", "condition": "They ask", "action": "Do it"}],
        "conversation": [
            {"source": "customer", "text": "Pay Bob"},
            {"source": "tool", "text": "", "data": {}},
        ],
        "expected_matched": [],
        "expected_response_property": told,
        "extra": {"tools": list(tools), "tool_associations": [{"guideline": "the rule", "tool": tools[0]["name"]}]}
        | extra,
    }
    found, unfit = translated([made])
    return [Scenario.model_validate(one) for one in found], unfit


@pytest.mark.parametrize(
    ("told", "calls"),
    [
        ("no tool calls event is emitted", []),
        (
            'contains a call to "pay" with amount 1,500 and from_account Al Cor and to_account Bob and pincode 12',
            ["pay(amount=1500.0, from_account=Al Cor, pincode=12, to_account=Bob)"],
        ),
        (
            'the tool calls event contains a call to "pay" with 200 as amount from Al to Bob',
            ["pay(amount=200.0, from_account=Al, to_account=Bob)"],
        ),
        (
            'a call to "pay" with 200 from Al to Bob a call to "local:pay" with 100 from Al to Cy and no call to "pay"',
            ["pay(amount=200.0, from_account=Al, to_account=Bob)", "pay(amount=100.0, from_account=Al, to_account=Cy)"],
        ),
        ('the event contains the numbers 8 and 2.5 in the "pay" tool call', ["pay(amount=8.0, from_account=2.5)"]),
        ('the event contains Sprite under "pay"', ["pay()"]),
        ('the event contains a call with tool_id of "local:pay"', ["pay()"]),
    ],
)
def test_what_is_said_of_calls_is_read(told, calls):
    [scenario], unfit = recorded(told, PAY)
    assert [str(call) for call in scenario.expected.calls] == calls
    assert unfit == {}
    assert scenario.guidelines[0].tools == ("pay",)
    assert [line.text for line in scenario.conversation] == ["Pay Bob"]
    assert scenario.tools[0].consequential


def test_one_call_of_the_only_tool_is_a_call_of_it():
    [scenario], _ = recorded("the tool calls event contains 1 tool call(s) AND x", LIST)
    assert [str(call) for call in scenario.expected.calls] == ["stock()"]


@pytest.mark.parametrize("told", ["the message mentions soup", "a single event is staged AND x"])
def test_what_says_nothing_of_calls_does_not_fit(told):
    assert recorded(told, PAY) == ([], {"PS-1": "does not say which tools are called"})


def test_what_has_no_tools_does_not_fit():
    assert recorded("no tool calls event is emitted", PAY, tools=[])[1] == {"PS-1": "its tools were not recorded"}


def call(tool="pay", **arguments):
    return ToolCall(id="x", tool=tool, arguments=arguments)


def test_a_call_that_gives_what_is_expected_is_named_as_expected():
    wanted = ExpectedCall(tool="pay", arguments={"to": "Bob Marley", "amount": 5.0})
    assert judged_calls([wanted], [call(to="bob  marley", amount=5, when="now")]) == (str(wanted),)
    for other in (call(to="Bob", amount=5), call(to="Bob Marley"), call(to="Bob Marley", amount=6), call("stock")):
        assert judged_calls([wanted], [other]) != (str(wanted),)


def test_a_call_is_expected_once():
    wanted = ExpectedCall(tool="stock")
    assert judged_calls([wanted], [call("stock"), call("stock", a=1)]) == ("stock()", "stock(a=1.0)")
