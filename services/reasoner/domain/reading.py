"""
The JSON in what an endpoint answers.
"""

from codecs import BOM_UTF8
from typing import Final

from pydantic import JsonValue
from pydantic_core import from_json

from shared.events.values import bounded

_JSON: Final = frozenset({"application/json", "text/json", "application/x-json", "text/x-json"})


def is_json(content_type: str) -> bool:
    """Whether *content_type* names JSON, by its registered name (RFC 8259, RFC 6839) or by one of common use."""
    kind = content_type.partition(";")[0].strip().lower()
    return kind in _JSON or kind.endswith("+json")


def value_of(content: bytes) -> JsonValue:
    """
    The JSON value in *content*, which is UTF-8 with or without a byte order mark; of two members of one name the last
    counts.

    Raises:
        ValueError: it is no JSON, or outside the bounds of `shared.events.values`.

    """
    return bounded(from_json(content.removeprefix(BOM_UTF8), allow_inf_nan=False))
