"""
What must not get into a log line: texts of customers, agents and models at info and above; secrets at any level.
"""

import functools
import re
from collections.abc import Mapping
from typing import Any, Final

from structlog.typing import EventDict, WrappedLogger

TEXT_KEYS: Final = frozenset(
    {"text", "content", "prompt", "value", "body", "data", "messages", "reply", "draft", "transcript", "completion"}
)
"""Names under which texts travel in this code."""

SECRET_KEYS: Final = frozenset(
    {"api_key", "apikey", "authorization", "cookie", "credentials", "password", "secret", "token", "x-api-key"}
)
SECRET_SUFFIXES: Final = ("_api_key", "_password", "_secret", "_token", "_cookie")

STRING_CHARS_MAX: Final = 8_192
"""A longer string of a line is cut: one line never fills a disk."""
NAMES_MAX: Final = 4_096
DEPTH_MAX: Final = 6
"""What is nested deeper is withheld: nobody checked it."""

_MASK = "***"
_DEBUG = "debug"
_SECRET_VALUES = re.compile(
    r"""(?P<keep>
          \bBearer[ ](?=\S)              # an Authorization header
        | ://[^/\s:@]*:(?=[^/\s@]+@)    # user information of an address
        )[^\s@'"]+
      | \bsk-[\w-]{16,}                  # a key of OpenAI or Anthropic
    """,
    re.VERBOSE,
)
# pydantic quotes the input that it rejects.
_REJECTED_INPUT = re.compile(r"input_value=.*?, input_type=", re.DOTALL)


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """A structlog processor: *event* without texts (below debug they may stand) and without secrets."""
    texts_allowed = event.get("level") == _DEBUG
    return {name: _cleaned(name, value, texts_allowed, DEPTH_MAX) for name, value in event.items()}


def _cleaned(name: str, value: Any, texts_allowed: bool, depth: int) -> Any:
    if isinstance(value, bool | int | float) or value is None:
        return value
    secret, text = _named(name)
    if secret:
        return _MASK
    if text and not texts_allowed:
        return _withheld(value)
    if isinstance(value, str):
        return _cleaned_string(value, texts_allowed)
    return _cleaned_collection(name, value, texts_allowed, depth)


@functools.lru_cache(maxsize=NAMES_MAX)
def _named(name: str) -> tuple[bool, bool]:
    """Whether what is called *name* is a secret, and whether it is a text; field names are few and come again."""
    lower = name.lower()
    return lower in SECRET_KEYS or lower.endswith(SECRET_SUFFIXES), lower in TEXT_KEYS


def _cleaned_string(value: str, texts_allowed: bool) -> str:
    if len(value) > STRING_CHARS_MAX:
        value = f"{value[:STRING_CHARS_MAX]}… ({len(value)} characters)"
    if "sk-" in value or "Bearer " in value or "://" in value:
        value = _SECRET_VALUES.sub(lambda found: f"{found['keep'] or ''}{_MASK}", value)
    if not texts_allowed and "input_value=" in value:
        value = _REJECTED_INPUT.sub("input_value=(withheld), input_type=", value)
    return value


def _cleaned_collection(name: str, value: Any, texts_allowed: bool, depth: int) -> Any:
    if isinstance(value, bytes | bytearray):
        # Raw bytes are values or keys of records; a key is worth seeing only as the address that it names.
        return _withheld(value)
    if depth == 0:
        return "(nested too deeply)"
    if isinstance(value, Mapping):
        return {str(inner): _cleaned(str(inner), held, texts_allowed, depth - 1) for inner, held in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_cleaned(name, held, texts_allowed, depth - 1) for held in value]
    # Any other object (a model, an exception) is shown by its repr, which may hold anything.
    return _cleaned_string(repr(value), texts_allowed) if texts_allowed else f"({type(value).__name__} withheld)"


def _withheld(value: Any) -> str:
    return f"({len(value)} withheld)" if hasattr(value, "__len__") else "(withheld)"
