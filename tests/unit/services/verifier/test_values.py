"""Values of different notations read alike; nothing makes the reader fail or dawdle."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.verifier.domain.readings import canonical, number_forms
from services.verifier.domain.values import ValueKind, standing_forms, stands, values_in


@pytest.mark.parametrize(
    ("text", "kind", "form"),
    [
        ("4.50 euros", ValueKind.MONEY, "m:EUR:4.5"),
        ("€4.50", ValueKind.MONEY, "m:EUR:4.5"),
        ("4,50 €", ValueKind.MONEY, "m:EUR:4.5"),
        ("EUR 1'200", ValueKind.MONEY, "m:EUR:1200"),
        ("EUR1200.00", ValueKind.MONEY, "m:EUR:1200"),
        ("US$1,200.50", ValueKind.MONEY, "m:USD:1200.5"),
        ("1.2 million dollars", ValueKind.MONEY, "m:USD:1200000"),
        ("10 000 euros", ValueKind.MONEY, "m:EUR:10000"),
        ("10\u202f000 euros", ValueKind.MONEY, "m:EUR:10000"),
        ("1.234.567,89", ValueKind.NUMBER, "n:1234567.89"),
        ("-5", ValueKind.NUMBER, "n:-5"),
        ("007", ValueKind.NUMBER, "n:7"),
        ("three", ValueKind.NUMBER, "n:3"),
        ("2nd", ValueKind.NUMBER, "n:2"),
        ("10km", ValueKind.NUMBER, "n:10"),
        ("\u0661\u0662\u0663", ValueKind.NUMBER, "n:123"),
        ("9.8 percent", ValueKind.PERCENT, "p:9.8"),
        ("9,8%", ValueKind.PERCENT, "p:9.8"),
        ("10 per cent", ValueKind.PERCENT, "p:10"),
        ("1 May 2026", ValueKind.DATE, "d:2026-05-01"),
        ("May 1st, 2026", ValueKind.DATE, "d:2026-05-01"),
        ("the 1st of May 2026", ValueKind.DATE, "d:2026-05-01"),
        ("2026-05-01", ValueKind.DATE, "d:2026-05-01"),
        ("01.05.2026", ValueKind.DATE, "d:2026-05-01"),
        ("1 May", ValueKind.DATE, "d:--05-01"),
        ("9:00", ValueKind.TIME, "t:09:00"),
        ("5 pm", ValueKind.TIME, "t:17:00"),
        ("12am", ValueKind.TIME, "t:00:00"),
        ("0800 555 0142", ValueKind.IDENTIFIER, "i:08005550142"),
        ("0800-555-0142", ValueKind.IDENTIFIER, "i:08005550142"),
        ("+49 30 1234567", ValueKind.IDENTIFIER, "i:49301234567"),
        ("RB-204", ValueKind.IDENTIFIER, "i:rb204"),
        ("DE89 3704 0044 0532 0130 00", ValueKind.IDENTIFIER, "i:de89370400440532013000"),
        ("https://www.bank.example/fees/.", ValueKind.LINK, "l:bank.example/fees"),
        ("Bank.Example/fees", ValueKind.LINK, "l:bank.example/fees"),
        ("help@bank.example", ValueKind.LINK, "l:help@bank.example"),
    ],
)
def test_a_value_reads_the_same_in_any_notation(text, kind, form):
    [value] = values_in(text)
    assert value.kind is kind
    assert form in value.forms


@pytest.mark.parametrize("text", ["", "Hello there", "one of us", "e.g. this", "May I?", "...", "$ only", "a.m."])
def test_words_are_no_values(text):
    assert values_in(text) == ()


def test_a_value_knows_where_it_stands():
    text = "It costs (4.50 euros) a month, or 5%."
    assert [text[value.start : value.end] for value in values_in(text)] == ["4.50 euros", "5%"]


@pytest.mark.parametrize(
    ("claim", "fact", "stand"),
    [
        ("5 euros", "It costs €5.00", True),
        ("5", "It costs €5.00", True),
        ("5 dollars", "It costs €5.00", False),
        ("5 euros", "balance: 5", True),
        ("1,000", "1000", True),
        ("1", "1,000", False),
        ("1.25", "1.250", True),
        ("1250", "1.250", True),
        ("1", "1.000", False),
        ("9 to 17", "9:00 to 17:00", True),
        ("1 May", "1 May 2026", True),
        ("1 May 2025", "1 May", False),
        ("2/1/2026", "1/2/2026", True),
        ("08005550142", "0800 555 0142", False),
        ("3-5", "3 to 5 working days", True),
        ("2026 100", "In 2026 we had 100", True),
    ],
)
def test_a_value_stands_in_a_fact_that_states_it(claim, fact, stand):
    assert all(stands(value, standing_forms(fact)) for value in values_in(claim)) is stand


@given(st.text())
def test_any_text_can_be_read_and_every_value_lies_within_it(text):
    end = 0
    for value in values_in(text):
        assert end <= value.start < value.end <= len(text)
        assert value.forms
        end = value.end


@given(st.text(alphabet="0123456789.,'-:/ %€$+azMay\u00a0\u2013", max_size=60))
def test_dense_mixtures_can_be_read_and_stand_in_themselves(text):
    forms = standing_forms(text)
    assert all(stands(value, forms) for value in values_in(text))


@given(st.integers(0, 10**12), st.integers(0, 99))
def test_every_common_notation_of_a_number_has_one_reading_in_common(whole, cents):
    plain = f"{whole}.{cents:02}"
    expected = canonical(str(whole), f"{cents:02}")
    for written in (plain, f"{whole:,}.{cents:02}", f"{whole:,}".replace(",", ".") + f",{cents:02}"):
        assert expected in number_forms(written)
