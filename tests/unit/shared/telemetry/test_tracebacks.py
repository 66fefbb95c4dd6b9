"""How an exception is told in a log line."""

import pytest

from shared.errors import Invalid
from shared.telemetry.tracebacks import FIRST_FRAMES, GROUP_MAX, LAST_FRAMES, said, told

CARD = "my card is 4929"


class Untold(Exception):
    def __str__(self):
        raise RecursionError


def caused(error, cause):
    error.__cause__ = cause
    return error


def broken(text):
    return text.encode()


def deep(levels):
    return deep(levels - 1) if levels else 1 / 0


def test_type_and_frames_stand_alone():
    try:
        broken(CARD + "\ud83d")
    except UnicodeEncodeError as error:
        [link] = told(error, texts_allowed=False)

    assert link.endswith("builtins.UnicodeEncodeError")
    assert "in broken" in link
    assert CARD not in link


@pytest.mark.parametrize("error", [Invalid("bad_body", "no text"), ConnectionRefusedError(111, "no text")])
def test_what_quotes_nobody_is_told(error):
    assert "no text" in told(error, texts_allowed=False)[0]


def test_the_first_cause_comes_first():
    links = told(caused(KeyError(CARD), OSError("away")), texts_allowed=False)

    assert [link.splitlines()[-1] for link in links] == ["builtins.OSError: away", "builtins.KeyError"]


def test_causes_in_a_circle_are_told_so_often():
    one, other = ValueError(), KeyError()
    one.__cause__, other.__cause__ = other, one

    assert len(told(one, texts_allowed=False)) == 5


def test_a_group_tells_some_of_its_members():
    group = ExceptionGroup(CARD, [ValueError(CARD) for _ in range(GROUP_MAX + 1)])

    [link] = told(group, texts_allowed=False)

    assert link.count("builtins.ValueError") == GROUP_MAX
    assert CARD not in link


def test_of_a_long_stack_both_ends_are_told():
    try:
        deep(200)
    except ZeroDivisionError as error:
        [link] = told(error, texts_allowed=False)

    assert "in test_of_a_long_stack_both_ends_are_told" in link
    assert f"({202 - FIRST_FRAMES - LAST_FRAMES} frames)" in link
    assert link.count("in deep") < LAST_FRAMES


def test_an_exception_that_cannot_be_told_is_told_so():
    assert said(Untold()) == "(its text cannot be told)"
