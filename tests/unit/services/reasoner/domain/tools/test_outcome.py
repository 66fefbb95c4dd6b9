"""What results come to: facts, guidelines of the turn, questions."""

from datetime import UTC, datetime

import pytest

from services.reasoner.domain.tools.inference import call_of
from services.reasoner.domain.tools.outcome import drafted_by, facts_of, instructions_of
from services.reasoner.domain.tools.results import answered, of_value, rejected
from shared.events.tools import ParameterProblem, ToolGuideline, ToolResult, ToolStatus
from shared.events.turns import Instruction, Matching

AT = datetime(2026, 1, 2, tzinfo=UTC)


def result(data=None, status=ToolStatus.DONE, tool="balance", **changes):
    return ToolResult(call=call_of("turn-1", tool, {}), status=status, data=data, at=AT, **changes)


@pytest.mark.parametrize(
    ("data", "texts"),
    [
        ("The balance is 5 euros.", ["The balance is 5 euros."]),
        ({"amount": 5.5, "owner": "Anna"}, ["balance, amount: 5.5", "balance, owner: Anna"]),
        ({"a": {"b": [1, None]}}, ['balance, a: {"b": [1, null]}']),
        (["one", {"n": 2}], ["one", '{"n": 2}']),
        (7, ["7"]),
        (False, ["false"]),
        (None, ["Look up the balance of an account: done."]),
        ("", ["Look up the balance of an account: done."]),
        ("x" * 3_000, ["x" * 2_000]),
    ],
)
def test_a_result_becomes_facts_part_by_part(toolbox, data, texts):
    records = facts_of([result(data)], toolbox.tools)
    assert [record.text for record in records] == texts
    assert {record.source for record in records} == {"tool:balance"}
    assert records[0].id == "tool.balance.1.1"


@pytest.mark.parametrize("status", [status for status in ToolStatus if status is not ToolStatus.DONE])
def test_no_fact_of_what_was_not_done_says_so_as_a_tools(toolbox, status):
    """The gate lets an action be claimed by facts of a tool; those of a call that failed are none."""
    records = facts_of([result({"why": "no funds"}, status)], toolbox.tools)
    assert {record.source for record in records} == {"call:balance"}
    assert "not" in records[0].text
    assert records[1].text == "balance was not done, and said: balance, why: no funds"


def test_no_sentence_of_what_was_not_done_stands_alone(toolbox):
    """A whole sentence of a fact may be repeated without being checked any further."""
    records = facts_of([result("Error. Sent 5 euros! Done;  really?", ToolStatus.FAILED)], toolbox.tools)
    assert records[1].text == "balance was not done, and said: Error, Sent 5 euros, Done, really?"


def test_the_facts_of_a_turn_are_bounded(toolbox):
    assert len(facts_of([result(list("abcdefgh") * 20)], toolbox.tools)) == 40


def test_a_results_guidelines_apply_in_this_turn(toolbox):
    brought = (ToolGuideline(condition="They owe", action="Mention it"), ToolGuideline(action="Be brief"))
    found = instructions_of([result(guidelines=brought), result(status=ToolStatus.FAILED, guidelines=brought)], (), {})
    assert [(i.id, i.condition, i.action) for i in found] == [
        ("tool.balance.1-1", "They owe", "Mention it"),
        ("tool.balance.1-2", "The tool balance was used", "Be brief"),
    ]


def missing(parameter, problem="missing"):
    return ParameterProblem(tool="transfer", parameter=parameter, problem=problem)


@pytest.mark.parametrize(
    ("problems", "action"),
    [
        ([missing("to"), missing("amount")], "Ask the customer for the account that receives it"),
        ([missing("amount")], "Ask the customer for amount, which is needed to know how much to send"),
        ([missing("when", "invalid")], "Ask the customer for when; what was given does not fit"),
        ([missing("speed")], "Ask the customer for speed (one of: slow, fast)"),
        ([missing("branch")], "Say that it cannot be done right now"),
    ],
)
def test_what_is_missing_becomes_a_question_of_this_turn(toolbox, problems, action):
    [found] = instructions_of((), problems, toolbox.tools)
    assert found.id == "tool.transfer.missing"
    assert found.condition == "This cannot be done yet: Send money"
    assert found.action == action


def test_the_draft_goes_by_the_question_and_not_by_the_step_that_waits():
    step = Instruction(id="pay.do", condition="x", action="Use it", tool="transfer")
    ask = Instruction(id="tool.transfer.missing", condition="x", action="Ask")
    matching = Matching(active=("pay.do", "send"), instructions=(step,))
    waiting = drafted_by(matching, [ask], [])
    assert waiting.active == ("tool.transfer.missing", "send")
    assert waiting.instructions == (ask,)
    assert drafted_by(matching, [], [result(tool="transfer")]) is matching


def test_an_answer_by_channels_is_taken_apart():
    came = of_value({
        "holdfast": {
            "data": {"n": 1}, "metadata": {"trace": "t"}, "fields": {"name": "Anna"}, "mode": "manual",
            "guidelines": [{"action": "Be kind"}],
        }
    })  # fmt: skip
    assert (came.status, came.data, came.metadata, came.fields) == ("done", {"n": 1}, {"trace": "t"}, {"name": "Anna"})
    assert (came.mode, came.guidelines) == ("manual", (ToolGuideline(action="Be kind"),))


@pytest.mark.parametrize(
    "value", [{"holdfast": {"data": 1}, "more": 2}, {"data": 1}, [{"holdfast": {"data": 1}}], None]
)
def test_any_other_answer_is_data_as_a_whole(value):
    assert (of_value(value).status, of_value(value).data) == ("done", value)


@pytest.mark.parametrize(
    "said",
    [
        1, {"datum": 1}, {"mode": "free"}, {"guidelines": [{"action": ""}]}, {"fields": {"a": 1}},
        {"guidelines": [{"action": "x"}] * 6}, {"fields": {"a": "x" * 1_001}},
    ],
)  # fmt: skip
def test_channels_that_are_not_as_agreed_fail_the_call(said):
    came = of_value({"holdfast": said})
    assert (came.status, came.data) == ("failed", None)
    assert "not as agreed" in came.error


@pytest.mark.parametrize(
    ("kind", "content", "status", "data"),
    [
        ("application/json; charset=utf-8", b'{"a":1}', "done", {"a": 1}),
        ("application/problem+json", b"[1]", "done", [1]),
        ("application/json", b"{", "failed", None),
        ("application/json", b"NaN", "failed", None),
        ("text/plain", b" hello \n", "done", "hello"),
        ("text/html", b'{"a":1}', "done", {"a": 1}),
        ("", b'{"a":1}', "done", {"a": 1}),
        ("", b"{hello}", "done", "{hello}"),
        ("application/octet-stream", b"\xff\xfe", "failed", None),
        ("application/json", b"", "done", None),
    ],
)
def test_a_body_is_read_by_its_kind(kind, content, status, data):
    came = answered(kind, content)
    assert (came.status, came.data) == (status, data)


def test_a_rejection_keeps_what_it_says_by_channels_and_nothing_else():
    told = rejected(402, "application/json", b'{"holdfast":{"data":"No funds."}}')
    assert (told.status, told.data, told.error) == ("failed", "No funds.", "HTTP 402 Payment Required")
    assert rejected(404, "application/json", b'{"detail":"secret"}').data is None
    assert rejected(799, "text/plain", b"x").error == "HTTP 799 unknown status"
