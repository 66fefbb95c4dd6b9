"""
Parameters that some models refuse, and the setting that mends each.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Remedy:
    """What to set (as a variable of the environment), and what that changes in `LlmSettings`, if it can be tried."""

    setting: str
    changes: Mapping[str, Any] = field(default_factory=dict)


REFUSED: Final[Mapping[str, Remedy]] = {
    "max_tokens": Remedy(
        "HOLDFAST_LLM_OUTPUT_LIMIT_PARAMETER=max_completion_tokens", {"output_limit_parameter": "max_completion_tokens"}
    ),
    "max_completion_tokens": Remedy(
        "HOLDFAST_LLM_OUTPUT_LIMIT_PARAMETER=max_tokens", {"output_limit_parameter": "max_tokens"}
    ),
    "temperature": Remedy("HOLDFAST_LLM_SEND_TEMPERATURE=false", {"send_temperature": False}),
    "prompt_cache_key": Remedy("HOLDFAST_LLM_PROMPT_CACHE_KEY=false", {"prompt_cache_key": False}),
    "encoding_format": Remedy("HOLDFAST_EMBEDDINGS_ENCODING=float", {"encoding": "float"}),
    "dimensions": Remedy("HOLDFAST_EMBEDDINGS_DIMENSIONS=0", {"dimensions": 0}),
}
TOO_LARGE: Final = Remedy("a lower HOLDFAST_LLM_OUTPUT_TOKENS_MAX")
LIMITS: Final = frozenset({"max_tokens", "max_completion_tokens"})

_REFUSED_WORDS: Final = frozenset(
    {"unsupported_parameter", "unsupported_value", "unknown_parameter", "extra_forbidden"}
)
_REFUSED_MESSAGE: Final = re.compile(
    r"unsupported|not supported|(?:does not|doesn't) support|not permitted|not allowed|unrecognized|unknown|unexpected"
    r"|deprecated|not compatible",
    re.IGNORECASE,
)
_NAMED: Final = re.compile(rf"\b({'|'.join(sorted(REFUSED, key=len, reverse=True))})\b")


def remedy_for(parameter: str, message: str, words: Collection[str]) -> Remedy | None:
    """
    What mends a request whose *parameter* was refused with *message*, an error of the types and codes *words*; where no
    parameter is named, the first one that the message names counts.
    """
    if not parameter and (named := _NAMED.search(message)):
        parameter = named[1]
    if _REFUSED_MESSAGE.search(message) or not _REFUSED_WORDS.isdisjoint(words):
        return REFUSED.get(parameter)
    return TOO_LARGE if parameter in LIMITS else None
