"""
Instructions that a reply gives away word by word.

Who asks for the prompt and is obeyed gets it verbatim most of the time; that code can see. A paraphrase, a translation
or an encoding it cannot: what must never be told does not belong into a prompt.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from shared.arq.wording import contains_phrase
from shared.text.words import words

RUN_WORDS: Final = 8
"""Consecutive words shared with the rules of a prompt beyond which it is no accident."""
INSTRUCTION_WORDS_MIN: Final = 6
INSTRUCTIONS_KEPT_MAX: Final = 4_096
# How instructions speak of the one whom a reply speaks to.
_THIRD_PERSON: Final = frozenset({"customer", "customers", "customer's", "them", "they", "their", "user", "user's"})


def repeats_rules(text: str, rules: str) -> bool:
    """Whether `RUN_WORDS` consecutive words of *rules* stand in *text*."""
    said = words(text)
    known = _runs(rules)
    return any(said[start : start + RUN_WORDS] in known for start in range(len(said) - RUN_WORDS + 1))


def repeats_instruction(text: str, instructions: Iterable[str], allowed: Iterable[str] = ()) -> bool:
    """
    Whether *text* holds one of *instructions* whole, if it is long enough to be one and speaks of the customer, and
    none of the *allowed* texts has it.
    """
    found = [said for said in instructions if _is_instruction(said) and contains_phrase(text, said.strip().rstrip("."))]
    if not found:
        return False
    sources = list(allowed)
    return any(not any(contains_phrase(source, said.strip().rstrip(".")) for source in sources) for said in found)


@lru_cache(maxsize=64)
def _runs(text: str) -> frozenset[tuple[str, ...]]:
    said = words(text)
    return frozenset(said[start : start + RUN_WORDS] for start in range(len(said) - RUN_WORDS + 1))


@lru_cache(maxsize=INSTRUCTIONS_KEPT_MAX)
def _is_instruction(text: str) -> bool:
    said = words(text)
    return len(said) >= INSTRUCTION_WORDS_MIN and not _THIRD_PERSON.isdisjoint(said)
