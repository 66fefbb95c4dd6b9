"""Values from outside: what a record can hold, and what is refused before it gets there."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import from_json, to_json

from shared.events.values import INTEGER_DIGITS_MAX, JSON_DEPTH_MAX, bounded

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=8)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(), max_size=4), inner)
)


def nested(depth, inner=1):
    value = inner
    for level in range(depth):
        value = [value] if level % 2 else {"a": value}
    return value


def test_what_is_as_deep_as_allowed_is_kept_and_one_more_is_not():
    assert bounded(nested(JSON_DEPTH_MAX)) == nested(JSON_DEPTH_MAX)
    with pytest.raises(ValueError, match="too deep"):
        bounded(nested(JSON_DEPTH_MAX + 1))


@pytest.mark.parametrize("depth", [200, 2_000, 100_000])
def test_no_depth_exhausts_the_stack(depth):
    with pytest.raises(ValueError, match="too deep"):
        bounded(nested(depth))


@pytest.mark.parametrize(
    "number", [math.inf, -math.inf, math.nan, float("1e400"), 10**INTEGER_DIGITS_MAX, -(10**5_000)], ids=range(6)
)
def test_a_number_that_no_reader_holds_is_refused(number):
    with pytest.raises(ValueError, match=r"double|digits"):
        bounded({"a": [number]})


@pytest.mark.parametrize("number", [0, -0.0, 2**64, 10 ** (INTEGER_DIGITS_MAX - 1), 5e-324, 1.7e308])
def test_an_ordinary_number_is_kept(number):
    assert bounded(number) == number


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("half \ud83d", "half \N{REPLACEMENT CHARACTER}"),
        ("\ude00\ud83d", "\N{REPLACEMENT CHARACTER}" * 2),
        ("\ud83d\ude00", "\N{GRINNING FACE}"),
        ("whole \N{GRINNING FACE} ü \x00", "whole \N{GRINNING FACE} ü \x00"),
    ],
    ids=ascii,
)
def test_half_a_surrogate_pair_is_replaced_in_texts_and_names(text, kept):
    assert bounded({text: [text]}) == {kept: [kept]}


@pytest.mark.parametrize("value", [b"x", {1: 2}, object(), {"a": {1}}])
def test_what_is_no_json_is_refused(value):
    with pytest.raises(ValueError, match=r"no JSON value|no name"):
        bounded(value)


@given(values)
def test_what_is_kept_is_written_and_read_back_by_every_reader(value):
    try:
        kept = bounded(value)
    except ValueError:
        return
    assert from_json(to_json(kept)) == kept
    assert json.loads(json.dumps(kept, allow_nan=False).encode()) == kept
    assert bounded(kept) == kept
