"""
JSON values from outside (a tool's answer, a model's), within the bounds that every reader of a record can keep.

JSON itself has none. Readers do: they recurse, they hold numbers as doubles, they write UTF-8. What is put into a
record unread would stop whoever reads it.
"""

import math
from typing import Annotated, Final

from pydantic import AfterValidator, JsonValue

JSON_DEPTH_MAX: Final = 32
"""Lists and objects within one another; `[[1]]` is 2 deep."""
INTEGER_DIGITS_MAX: Final = 100
_INTEGER_LIMIT: Final = 10**INTEGER_DIGITS_MAX


def bounded(value: object, depth_max: int = JSON_DEPTH_MAX) -> JsonValue:
    """
    *value* as every reader can take it: of half a surrogate pair in a text, which cannot be written as UTF-8, a
    replacement character remains.

    Raises:
        ValueError: it is nested deeper than *depth_max*, holds a number that is none or not finite, or an integer of
            more than `INTEGER_DIGITS_MAX` digits, or what is no JSON at all. The message quotes nothing of it.

    """
    match value:
        case None | bool():
            return value
        case str():
            return _encodable(value)
        case int():
            return _integer(value)
        case float():
            return _finite(value)
        case list() | tuple():
            _leave_room(depth_max)
            return [bounded(held, depth_max - 1) for held in value]
        case dict():
            _leave_room(depth_max)
            return {_name(name): bounded(held, depth_max - 1) for name, held in value.items()}
    raise ValueError(f"{type(value).__name__} is no JSON value")


def _leave_room(depth: int) -> None:
    if depth <= 0:
        raise ValueError("lists and objects are nested too deep")


def _integer(value: int) -> int:
    if not -_INTEGER_LIMIT < value < _INTEGER_LIMIT:
        raise ValueError(f"an integer has more than {INTEGER_DIGITS_MAX} digits")
    return value


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError("a number is beyond what a double holds")
    return value


def _name(name: object) -> str:
    if not isinstance(name, str):
        raise ValueError(f"{type(name).__name__} is no name in a JSON object")  # noqa: TRY004 - see `bounded`
    return _encodable(name)


def _encodable(text: str) -> str:
    if text.isascii():
        return text
    # Two halves that follow each other are one character; Python keeps them apart when JSON escapes them.
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


BoundedJson = Annotated[JsonValue, AfterValidator(bounded)]
"""A JSON value in the body of an event, within these bounds: a body beyond them does not fit its type."""
BoundedObject = Annotated[dict[str, JsonValue], AfterValidator(bounded)]
"""As `BoundedJson`, an object."""
