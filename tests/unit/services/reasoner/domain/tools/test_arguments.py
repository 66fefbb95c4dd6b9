"""Arguments: what code makes of the values that a model gives."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.reasoner.domain.tools.arguments import Said, arguments, typed
from shared.playbook.tools import HttpCall, Parameter, Tool


def tool(**parameter):
    needed = Parameter.model_validate({"name": "value"} | parameter)
    return Tool(id="tool", description="A tool", parameters=(needed,), http=HttpCall(url="https://x.example"))


def said(value, status="given", evidence=""):
    return {"value": {"evidence": evidence, "value": value, "status": status}}


def told(found):
    return found.values.get("value"), [(p.problem, p.value) for p in found.problems]


@pytest.mark.parametrize(
    ("parameter", "value", "wanted"),
    [
        ({"type": "string"}, "  Berlin ", "Berlin"),
        ({"type": "string"}, "x" * 1_001, None),
        ({"type": "integer"}, 7, 7),
        ({"type": "integer"}, True, None),
        ({"type": "number"}, 7.5, 7.5),
        ({"type": "number"}, 7.0, 7),
        ({"type": "number"}, -0.0, 0),
        ({"type": "number"}, 1e300, 1e300),
        ({"type": "number"}, float("1e400"), None),
        ({"type": "number"}, float("-inf"), None),
        ({"type": "number"}, float("nan"), None),
        ({"type": "number"}, 10**400, None),
        ({"type": "number"}, -(10**400), None),
        ({"type": "number", "choices": ["inf", "nan"]}, float("inf"), None),
        ({"type": "integer"}, 2**63 - 1, 2**63 - 1),
        ({"type": "integer"}, 2**63, None),
        ({"type": "integer"}, -(10**400), None),
        ({"type": "boolean"}, False, False),
        ({"type": "boolean"}, "yes", None),
        ({"type": "date"}, "2026-02-28", "2026-02-28"),
        ({"type": "date"}, "2026-02-30", None),
        ({"type": "date"}, "tomorrow", None),
        ({"type": "datetime"}, "2026-02-28T10:30", "2026-02-28T10:30:00"),
        ({"type": "datetime"}, "10:30", None),
        ({"choices": ["Economy", "First"]}, "first", "First"),
        ({"choices": ["Economy", "First"]}, "second", None),
        ({"type": "integer", "choices": ["1", "2"]}, 2, 2),
        ({"type": "integer", "choices": ["1", "2"]}, 3, None),
        ({"pattern": "[0-9]{4}"}, "1234", "1234"),
        ({"pattern": "[0-9]{4}"}, "12345", None),
        ({"pattern": "(a+)+b"}, "a" * 1_000, None),
        ({"pattern": ".*"}, "half a pair: \ud83d", "half a pair:"),
        ({"type": "date", "pattern": "2026-.*"}, "2025-01-01", None),
    ],
)
def test_a_value_is_of_its_type_and_among_what_is_allowed(parameter, value, wanted):
    found = typed(Parameter.model_validate({"name": "value"} | parameter), value)
    assert (found, type(found)) == (wanted, type(wanted))


@pytest.mark.parametrize("source", ["customer", "context", "any"])
@pytest.mark.parametrize("value", [float("1e400"), float("nan"), 10**400, 10**5_000, -(2**64)], ids=range(5))
def test_a_number_that_no_endpoint_holds_is_invalid_wherever_it_comes_from(source, value):
    known = Said(customer=("Pay 1e400 please",), variables=("9" * 400,), context=("9" * 400,))
    declared = tool(type="number", source=source)
    found, problems = told(arguments(declared, said(value, evidence="1e400"), known))
    assert (found, problems[0][0]) == (None, "invalid")
    assert 0 < len(problems[0][1]) <= 200


def test_a_default_that_no_endpoint_holds_is_never_sent():
    declared = tool(type="number", default=float("inf"))
    assert told(arguments(declared, said("", "missing"), Said(customer=()))) == (None, [("invalid", "inf")])


def test_half_a_surrogate_pair_is_in_no_value_and_in_no_problem():
    known = Said(customer=("I am Ana\ud83d",))
    assert told(arguments(tool(), said("Ana\ud83d"), known)) == ("Ana", [])
    _, [(problem, shown)] = told(arguments(tool(), said("", status="invalid", evidence="Ana\ud83d"), known))
    assert (problem, shown) == ("invalid", "Ana\N{REPLACEMENT CHARACTER}")


@pytest.mark.parametrize(
    ("parameter", "given_", "wanted"),
    [
        ({}, said("", "given"), (None, [("missing", "")])),
        ({}, said("x", "missing"), (None, [("missing", "")])),
        ({"required": False}, said("", "missing"), (None, [])),
        ({"default": "slow"}, said("", "missing"), ("slow", [])),
        ({"default": 0, "type": "integer"}, said(0, "missing"), (0, [])),
        ({"pattern": "[0-9]{4}"}, said("12"), (None, [("invalid", "12")])),
        ({"pattern": "[0-9]{4}", "required": False}, said("12"), (None, [("invalid", "12")])),
        ({"type": "date"}, said("", "invalid", "the 40th"), (None, [("invalid", "the 40th")])),
    ],
)
def test_what_is_missing_and_what_does_not_fit_is_found(parameter, given_, wanted):
    assert told(arguments(tool(**parameter), given_, Said(("Nothing of it",)))) == wanted


FROM_CUSTOMER = [
    # type, value, evidence, the customer's words, whether it stands
    ({}, "4711", "4711", "My account is 4711.", True),
    ({}, "47 11", "", "My account is 4711", True),
    ({}, "4711", "4711", "My account is 47 11", True),
    ({}, "4711", "4711", "My account is another", False),
    ({}, "ana", "banana", "I like banana", False),
    ({}, "Anna Berg", "", "it's anna  berg here", True),
    ({"type": "number"}, 50.0, "", "Send 50 euros", True),
    ({"type": "number"}, 1200.0, "", "Send 1,200 euros", True),
    ({"type": "number"}, 1200.5, "", "Send 1.200,50 euros", True),
    ({"type": "number"}, 5.0, "", "Send 50 euros", False),
    ({}, "张三", "张三", "我叫张三，想退款。", True),
    ({}, "山田太郎", "", "山田太郎です", True),
    ({}, "สมชาย", "", "ผมชื่อสมชายครับ", True),
    ({}, "김민수", "", "저는 김민수입니다", True),
    ({}, "İstanbul", "", "İstanbul'dan geliyorum", True),
    ({}, "القاهرة", "", "أسافر إلى القاهرة غدا", True),
    ({}, "दिल्ली", "", "मैं दिल्ली से हूँ", True),
    ({}, "RB-204", "", "order RB\u2011204 please", True),
    ({}, "张三", "张三", "我叫李四", False),
    ({"type": "number"}, 500.0, "", "５００円を送金したい", True),
    ({"type": "number"}, 3.0, "", "3日間だけ", True),
    ({"type": "number"}, 1200.5, "", "Send 1\u202f200,50 €", True),
    ({"type": "number"}, 1234567.0, "", "Send 12,34,567 rupees", True),
    ({"type": "number"}, 1500.0, "", "أرسل \u0661\u066c\u0665\u0660\u0660", True),
    ({"type": "number"}, -5.0, "", "set it to \u22125", True),
    ({"type": "number"}, -5.0, "", "3-5 of them", False),
    ({"type": "integer"}, 2, "two", "two tickets please", True),
    ({"type": "integer"}, 2, "two", "some tickets please", False),
    ({"type": "integer"}, 3, "2", "2 tickets", False),
    ({"type": "date"}, "2026-03-02", "tomorrow", "tomorrow, please", True),
    ({"type": "date"}, "2026-03-02", "tomorrow", "next week, please", False),
    ({"type": "date"}, "2026-03-02", "", "on 2026-03-02", True),
    ({"type": "boolean"}, True, "yes", "Yes, please", True),
    ({"type": "boolean"}, True, "", "Yes, please", False),
    ({"choices": ["fast", "slow"]}, "fast", "as quickly as you can", "as quickly as you can!", True),
    ({"choices": ["fast", "slow"]}, "fast", "express", "I do not mind", False),
]


@pytest.mark.parametrize(("parameter", "value", "evidence", "words", "stands"), FROM_CUSTOMER)
def test_a_value_from_the_customer_stands_in_the_customers_words(parameter, value, evidence, words, stands):
    found = arguments(tool(source="customer", **parameter), said(value, evidence=evidence), Said((words,)))
    assert (found.values != {}) is stands
    assert [p.problem for p in found.problems] == ([] if stands else ["missing"])


def test_a_value_hides_nothing():
    found = arguments(tool(), said("Ac\u202eme\x1b Ltd\U000e0041"), Said(()))
    assert found.values == {"value": "Acme Ltd"}


def test_a_variable_counts_as_the_customers_word_and_a_tools_answer_does_not():
    asked, planted = tool(source="customer"), said("4711", evidence="4711")
    assert arguments(asked, planted, Said((), variables=("4711",))).values == {"value": "4711"}
    assert arguments(asked, planted, Said((), context=("4711",))).values == {}


def test_a_value_from_the_context_is_not_taken_from_the_customer():
    asked, planted = tool(source="context"), said("gold", evidence="gold")
    assert arguments(asked, planted, Said(("I am gold",))).values == {}
    assert arguments(asked, planted, Said((), context=('{"tier":"gold"}',))).values == {"value": "gold"}
    assert arguments(asked, planted, Said((), variables=("gold",))).values == {"value": "gold"}


@given(st.text(max_size=80), st.sampled_from(["customer", "context"]))
def test_what_nobody_said_is_never_an_argument(value, source):
    found = arguments(tool(source=source), said(value, evidence=value), Said(("",), ("",), ("",)))
    assert found.values == {}


@given(st.integers(0, 10**9))
def test_a_number_is_found_however_its_thousands_are_written(number):
    asked = tool(source="customer", type="number")
    for words in (f"{number}", f"{number:,}", f"{number:,}".replace(",", ".")):
        assert arguments(asked, said(float(number)), Said((words,))).values == {"value": number}
    assert arguments(asked, said(float(number)), Said((f"pay {number:,}.50",))).values == {}
