"""The language of approved texts: what it can say, what it refuses, and that nothing it does is unbounded."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.playbook.templates import (
    ITEMS_MAX,
    RENDERED_CHARS_MAX,
    TemplateFault,
    Unfilled,
    fields_of,
    render,
    sources,
)

TEXT = """
Dear {{ std.customer.name }}{% if std.variables.plan is defined %} ({{ std.variables.plan | upper }}){% endif %},
{% for order in orders %}{{ order.id }}: {{ order.items }}; {% endfor %}{{ facts["opening-hours"] }}
"""
ORDERS = [{"id": "A", "items": 2}, {"id": "B", "items": 5}]


def test_fields_are_named_in_their_order_once_and_without_those_of_a_loop():
    assert fields_of(TEXT) == ("std.customer.name", "std.variables.plan", "orders", "facts.opening-hours")


def test_a_text_is_filled_and_stripped():
    values = {"std.customer.name": "Ada", "orders": ORDERS, "facts.opening-hours": "Open from 9.", "unused": 1}
    assert render(TEXT, values) == "Dear Ada,\nA: 2; B: 5; Open from 9."
    assert "(GOLD)" in render(TEXT, values | {"std.variables.plan": "gold"})


def test_a_key_that_is_a_method_of_mappings_is_a_field_all_the_same():
    assert render("{{ order.items }}", {"order": {"items": 3}}) == "3"


@pytest.mark.parametrize(
    "bad",
    [
        "{{ x.__class__ }}",
        "{{ ''.__class__.__mro__ }}",
        "{{ x['__class__'] }}",
        "{{ x | attr('y') }}",
        "{{ x | default(y.__init__) }}",
        "{{ x | join(attribute='__class__') }}",
        "{{ 'a' * 999999999 }}",
        "{{ 9 ** 99 }}",
        "{{ x ~ y }}",
        "{{ range(9) }}",
        "{{ cycler('a') }}",
        "{{ lipsum() }}",
        "{{ x() }}",
        "{{ x.y() }}",
        "{{ x[0] }}",
        "{{ x[y] }}",
        "{{ x[1:] }}",
        "{{ [x] }}",
        "{{ self }}",
        "{{ loop.index }}",
        "{% for a in b %}{% for c in d %}{{ c }}{% endfor %}{% endfor %}",
        "{% for a, b in c %}{{ a }}{% endfor %}",
        "{% for a in b recursive %}{{ a }}{% endfor %}",
        "{% for a in b if a %}{{ a }}{% endfor %}",
        "{% set x = 1 %}",
        "{% macro m() %}{% endmacro %}",
        "{% include 'x' %}",
        "{% extends 'x' %}",
        "{% import 'x' as y %}",
        "{% block b %}{% endblock %}",
        "{% filter upper %}a{% endfilter %}",
        "{% call x() %}{% endcall %}",
        "{{ x | tojson }}",
        "{{ x is callable }}",
        "{{ x if y }}",
        "{{ x",
        "{% if x %}",
        "{{ " + "not " * 500 + "x }}",
        "{{ " + "(" * 3_000 + "x" + ")" * 3_000 + " }}",
    ],
)
def test_what_is_no_part_of_the_language_is_refused(bad):
    with pytest.raises(TemplateFault):
        fields_of(bad)
    with pytest.raises(TemplateFault):
        render(bad, {"x": "a", "y": "b"})


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("{{ x }}", {}),
        ("{{ x }}", {"x": None}),
        ("{{ x.y }}", {"x": {}}),
        ("{{ x.y }}", {"x": "text"}),
        ("{{ x.upper }}", {"x": "text"}),
        ("{{ x | round }}", {"x": "many"}),
        ("{{ x > 1 }}", {"x": "many"}),
        ("{% for a in x %}{{ a }}{% endfor %}", {"x": 5}),
        ("{{ x }}", {"x": "  "}),
        ("{{ x }}", {"x": "a" * (RENDERED_CHARS_MAX + 1)}),
        ("{% for a in x %}{{ y }}{% endfor %}", {"x": [1] * ITEMS_MAX, "y": "b" * 1_000}),
        ("Hello {{ std.variables.plan }}", {}),
    ],
)
def test_a_hole_in_a_text_is_an_error_and_never_an_empty_string(text, values):
    with pytest.raises(Unfilled):
        render(text, values)


def test_a_long_list_is_cut():
    assert render("{% for a in x %}{{ a }}{% endfor %}", {"x": ["a"] * 10_000}) == "a" * ITEMS_MAX


@given(st.text(max_size=200))
def test_a_value_is_never_read_as_a_template(value):
    said = f"{value}{{{{ 7 * 7 }}}}{{% for a in b %}}"
    assert render("<{{ x }}>", {"x": said}) == f"<{said}>"


@given(st.text(alphabet="{}%|.[]()'\"abx_ 01-+*~\n", max_size=60))
def test_any_text_is_rendered_refused_or_unfilled_and_nothing_else(text):
    try:
        rendered = render(text, {"a": "1", "b": ["x"], "x": {"a": 1}})
    except (TemplateFault, Unfilled):
        return
    assert len(rendered) <= RENDERED_CHARS_MAX


def test_a_part_of_a_value_counts_as_taken_from_the_whole():
    assert sources("{{ order.status }} {{ std.variables.x }}", {"order": {"status": 1}, "std.variables.x": "v"}) == (
        "order",
        "std.variables.x",
    )
