"""Which tools are asked about, what the question is, and what its answer comes to."""

from datetime import UTC, datetime

import jsonschema
import pytest
from pydantic import ValidationError

from services.reasoner.domain.tools.arguments import Said
from services.reasoner.domain.tools.blueprints import tools_question
from services.reasoner.domain.tools.candidates import Candidate
from services.reasoner.domain.tools.inference import asked_for, call_of, complaint, decided, without_asking
from shared.arq.blueprint import portable
from shared.events.tools import ParameterProblem, ToolResult, ToolStatus
from shared.events.turns import Instruction, Matching
from shared.playbook.tools import Tool

AT = datetime(2026, 1, 2, tzinfo=UTC)


def result(tool, status=ToolStatus.DONE, **values):
    return ToolResult(call=call_of("turn-1", tool, values), status=status, at=AT)


def argument(value, status="given"):
    return {"evidence": str(value), "value": value, "status": status}


def transfer(to="4711", amount=50.0, **status):
    return {
        "to": argument(to, status.get("to", "given")),
        "amount": argument(amount, status.get("amount", "given")),
        "when": argument("", "missing"),
        "speed": argument("slow", "missing"),
        "branch": argument("", "missing"),
    }


def answer(**tools):
    return {"customer.needs": "x"} | {
        name: {"rationale": "x", "decision": decision, "calls": tuple(calls)}
        for name, (decision, *calls) in tools.items()
    }


SAID = Said(("Send 50 euros to 4711, or 60 to 4712", "My account is 1234"))


def test_candidates_are_the_tools_of_what_is_active_and_no_other(toolbox):
    found = toolbox.candidates(Matching(active=("send", "balance")), ())
    assert [candidate.tool.id for candidate in found] == ["balance", "rates", "transfer"]
    assert found[0].because == ("They want to send money -> Do it", "They ask for a balance -> State it")
    assert toolbox.candidates(Matching(active=("rich",)), ()) == ()


def test_a_due_step_of_a_journey_makes_its_tool_a_candidate(toolbox):
    step = Instruction(id="pay.do", condition="Paying: the step is due", action="Use it", tool="transfer")
    matching = Matching(active=("pay.do",), instructions=(step,))
    assert [candidate.tool.id for candidate in toolbox.candidates(matching, ())] == ["transfer"]
    assert toolbox.candidates(Matching(active=(), instructions=(step,)), ()) == ()


@pytest.mark.parametrize("name", ["unheard-of", ""])
def test_a_tool_that_the_playbook_does_not_have_is_no_candidate(toolbox, name):
    step = Instruction(id="pay.do", condition="x", action="y", tool=name)
    assert toolbox.candidates(Matching(active=("pay.do",), instructions=(step,)), ()) == ()


def test_a_tool_with_a_result_in_this_turn_is_not_decided_on_again(toolbox):
    found = toolbox.candidates(Matching(active=("send", "balance")), [result("transfer", ToolStatus.UNKNOWN)])
    assert [candidate.tool.id for candidate in found] == ["balance", "rates"]


def test_the_question_has_a_typed_part_for_each_candidate_and_is_portable(toolbox):
    candidates = toolbox.candidates(Matching(active=("send",)), ())
    blueprint = toolbox.question(candidates)
    schema = blueprint.schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    assert portable(schema) == schema
    assert list(schema["properties"]) == ["customer.needs", "balance", "transfer"]
    call = schema["$defs"]["Call1"]["properties"]
    assert list(call) == ["to", "amount", "when", "speed", "branch"]
    values = {
        name: schema["$defs"][part["$ref"].rsplit("/", 1)[1]]["properties"]["value"] for name, part in call.items()
    }
    assert values["amount"] == {"type": "number"}
    assert values["speed"] == {"type": "string", "enum": ["slow", "fast"]}
    assert list(schema["$defs"]["Tool1"]["properties"]) == ["rationale", "decision", "calls"]
    assert list(schema["$defs"]["Argument1x0"]["properties"]) == ["evidence", "value", "status"]
    assert toolbox.question(candidates) is blueprint


@pytest.mark.parametrize("name", ["schema", "copy", "model_config", "_hidden", "json", "self"])
def test_a_parameter_may_have_any_name(name):
    declared = {"id": "copy", "description": "x", "http": {"url": "https://x.example"}, "parameters": [{"name": name}]}
    blueprint = tools_question([Tool.model_validate(declared)])
    said = {"customer.needs": "", "copy": {"rationale": "", "decision": "call", "calls": [{name: argument("a")}]}}
    assert blueprint.answer.model_validate(said).model_dump(by_alias=True)["copy"]["calls"][0][name]["value"] == "a"


def test_an_answer_about_another_tool_breaks_the_schema(toolbox):
    blueprint = toolbox.question(toolbox.candidates(Matching(active=("send",)), ()))
    said = answer(balance=("not_now",), transfer=("not_now",), secret=("call",))
    with pytest.raises(ValidationError):
        blueprint.answer.model_validate(said)


def candidates_of(toolbox, *names):
    return [Candidate(toolbox.tools[name], ()) for name in names]


def test_an_answer_becomes_calls_with_ids_that_repeat_and_defaults_filled_in(toolbox):
    candidates = candidates_of(toolbox, "transfer")
    said = answer(transfer=("call", transfer()))
    [call] = decided(candidates, said, SAID, "turn-1", ()).calls
    assert call.arguments == {"to": "4711", "amount": 50, "speed": "slow"}
    assert decided(candidates, said, SAID, "turn-1", ()).calls == (call,)
    assert decided(candidates, said, SAID, "turn-2", ()).calls[0].id != call.id
    assert (
        decided(candidates, answer(transfer=("call", transfer(amount=60.0))), SAID, "turn-1", ()).calls[0].id != call.id
    )


def test_the_same_call_is_made_once_whatever_the_model_says(toolbox):
    candidates = candidates_of(toolbox, "transfer")
    twice = decided(candidates, answer(transfer=("call", transfer(), transfer())), SAID, "turn-1", ())
    assert len(twice.calls) == 1
    assert decided(candidates, answer(transfer=("call", transfer())), SAID, "turn-1", [twice.calls[0].id]).calls == ()


def test_two_different_calls_of_one_tool_are_both_made(toolbox):
    said = answer(transfer=("call", transfer(), transfer("4712", 60.0)))
    assert len(decided(candidates_of(toolbox, "transfer"), said, SAID, "turn-1", ()).calls) == 2


@pytest.mark.parametrize("decision", ["not_now", "already_done"])
def test_a_tool_that_is_not_needed_is_neither_called_nor_asked_about(toolbox, decision):
    said = answer(transfer=(decision, transfer(to="missing")))
    found = decided(candidates_of(toolbox, "transfer"), said, SAID, "turn-1", ())
    assert (found.calls, found.problems) == ((), ())


def test_what_is_missing_keeps_its_tool_from_being_called_and_no_other(toolbox):
    said = answer(balance=("call", {"account": argument("1234")}), transfer=("call", transfer(amount="missing")))
    said["transfer"]["calls"][0]["amount"] = argument(0.0, "missing")
    found = decided(candidates_of(toolbox, "balance", "transfer"), said, SAID, "turn-1", ())
    assert [call.tool for call in found.calls] == ["balance"]
    assert [(p.tool, p.parameter, p.problem) for p in found.problems] == [("transfer", "amount", "missing")]


def test_the_reply_asks_for_the_lowest_precedence_first(toolbox):
    problems = [
        ParameterProblem(tool="transfer", parameter=name, problem="missing") for name in ("amount", "to", "branch")
    ]
    assert [p.parameter for p in asked_for(problems, toolbox.tools)] == ["to", "branch"]
    assert [p.parameter for p in asked_for(problems[:1], toolbox.tools)] == ["amount"]


def test_what_only_reads_and_takes_nothing_is_called_without_asking(toolbox):
    calls = without_asking(candidates_of(toolbox, "rates", "balance", "transfer"), "turn-1")
    assert [(call.tool, call.arguments) for call in calls] == [("rates", {})]


def alike(name, **changes):
    declared = {"id": name, "description": name, "overlap": "find", "http": {"url": "https://x.example"}}
    return Candidate(Tool.model_validate(declared | changes), ())


@pytest.mark.parametrize(
    ("best", "called"),
    [
        (["by_name"], ["by_name"]),
        (["by_id"], ["by_id"]),
        ([], []),
        (["x"], []),
        # The same thing by two tools: by the first of them.
        (["by_id", "by_name"], ["by_id"]),
    ],
)
def test_of_tools_that_do_alike_the_best_fitting_one_is_called(best, called):
    pair = [alike("by_name"), alike("by_id")]
    assert all(candidate.needs_asking for candidate in pair)
    schema = tools_question([candidate.tool for candidate in pair]).schema()
    assert list(schema["properties"])[1] == "best.find"
    assert schema["$defs"]["Comparison0"]["properties"]["decision"]["items"]["enum"] == ["by_name", "by_id"]
    said = {name: {"decision": "call"} for name in ("by_name", "by_id")} | {"best.find": {"decision": best}}
    assert [call.tool for call in decided(pair, said, SAID, "turn-1", ()).calls] == called


def test_of_tools_that_do_alike_each_does_its_own_thing():
    pair = [alike(name, parameters=[{"name": "value"}]) for name in ("by_name", "by_id")]
    said = {
        name: {"decision": "call", "calls": [{"value": argument(value)} for value in values]}
        for name, values in {"by_name": ["Ana", "Ben"], "by_id": ["7", "Ana"]}.items()
    }
    found = decided(pair, said | {"best.find": {"decision": ["by_name", "by_id"]}}, SAID, "turn-1", ())
    assert [(call.tool, call.arguments["value"]) for call in found.calls] == [
        ("by_name", "Ana"),
        ("by_name", "Ben"),
        ("by_id", "7"),
    ]


def test_a_call_without_arguments_and_a_flood_of_calls_are_no_answers(toolbox):
    candidates = candidates_of(toolbox, "transfer")
    assert "no call is given" in complaint(candidates, answer(transfer=("call",)), 8)
    assert "more than 8" in complaint(candidates, answer(transfer=("call", *[transfer()] * 9)), 8)
    assert complaint(candidates, answer(transfer=("call", transfer())), 8) is None
    assert complaint(candidates, answer(transfer=("not_now",)), 8) is None


def test_results_that_a_guideline_or_a_step_waits_for_change_the_matching(toolbox):
    step = Instruction(id="pay.do", condition="x", action="y", tool="rates")
    assert toolbox.changes_matching(Matching(active=()), [result("balance")])
    assert not toolbox.changes_matching(Matching(active=()), [result("rates")])
    assert toolbox.changes_matching(Matching(active=("pay.do",), instructions=(step,)), [result("rates")])
    assert not toolbox.changes_matching(Matching(active=()), [])


def test_tools_that_take_the_same_are_asked_about_by_one_question_wherever_they_are_declared():
    """Writing a question's schema takes 20-30 ms, and every version of a playbook declares its tools anew."""
    said = {"id": "pay", "description": "Pay", "parameters": [{"name": "to"}], "http": {"url": "https://a.example/"}}
    same = said | {"description": "Pays", "http": {"url": "https://b.example/"}}
    other = said | {"parameters": [{"name": "to", "type": "integer"}]}
    one, again, another = (tools_question([Tool.model_validate(tool)]) for tool in (said, same, other))
    assert one is again
    assert one is not another
