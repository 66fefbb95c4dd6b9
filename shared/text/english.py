"""
What code knows of English, and whether a text is English at all: words without meaning of their own, negations,
endings. A rule that rests on these holds for English alone.

What does not read as English is never passed on the strength of such a rule: it goes to the model. A short text without
a word that only English has counts as not English, so the mistake that can happen costs a call and lets nothing out.
"""

import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from shared.text.words import words

STEMS_KEPT_MAX: Final = 65_536
TEXTS_KEPT_MAX: Final = 8_192
_STEM_LENGTH_MIN: Final = 3

# Without those that change a statement's meaning, such as `before`, `over`, `within`, `only`.
_FUNCTION_WORDS = """
    a about all also am an and any are as at be been being but by can could did do does doing for from further had has
    have having he her here hers him his how i if in into is it its itself just let may me might my now of on or other
    our ours own please same shall she should so some such than that the their them then there these they this those
    through to too us very was we were what when where which while who whom whose why will with would you your yours
"""
FUNCTION_WORDS: Final = frozenset(_FUNCTION_WORDS.split())
NEGATIONS: Final = frozenset(
    [
        "no",
        "not",
        "never",
        "none",
        "nothing",
        "nobody",
        "neither",
        "nor",
        "without",
        "cannot",
        "except",
        "unless",
        "only",
    ]
)
_NEGATED_ENDING = "n't"
# Longest first: the first that fits is cut off.
_SUFFIXES: Final = ("ations", "ation", "ingly", "ments", "ment", "ings", "ing", "ies", "ied", "es", "ed", "ly", "s")
ENGLISH_SHARE_MIN: Final = 0.1
"""Of a text's words that must be common words of English, and of no other language that is told apart here."""
MANY_WORDS_MIN: Final = 50
COMMON_SHARE_MIN: Final = 0.05
"""Of so many words or more, what English has at least of function words."""

# Function words of English that other languages in Latin script have too.
_SHARED: Final = "a about an am as be do for has he her him his i in me of on or other so to us was we will"
_ENGLISH: Final = """
    see understand hello hi dear good morning afternoon evening thanks thank welcome sorry apologies apologise
    apologize regret glad happy sure certainly absolutely understood great goodbye bye anything everything something
    else here there help helping know check checked today tomorrow yesterday only not until before after over under
    within without per each every between because but though need needs get gets give gives make makes take takes
    free off up out was were of to it's that's i'm we're you're i've we've you've i'll we'll you'll don't doesn't
    can't won't isn't aren't let's
"""
# The commonest words of German, Spanish, French, Italian, Portuguese, Dutch, the Nordic languages, Polish and Turkish.
_FOREIGN: Final = """
    der die das und ist nicht wir sie ihr ihnen ihre ihren haben hat wird werden wurde auf mit von zu zum zur im dem den
    ein eine einen einem sich bei nach kann kein keine bitte danke vielen ihrer
    el la los las de del que y en un una por para con su sus le les se es esta son hemos ha han usted gracias lo al como
    des du une est et vous nous votre notre pour dans sur avec pas qui ce cette vos nos aux merci bonjour
    il gli di che non sono abbiamo per della delle grazie suo sua
    o os uma nao com voce seu foi obrigado da dos das em
    het een niet van voor met u uw wij zijn dank
    och att det som inte og er til har ikke vi
    nie jest na sie dla bir ve icin
"""
_COMMON: Final = (FUNCTION_WORDS - frozenset(_SHARED.split())) | frozenset(_ENGLISH.split())
_OTHERS: Final = frozenset(_FOREIGN.split()) - _COMMON


def content_words(text: str) -> list[str]:
    """The words of *text* that carry meaning, stemmed, in order (function words are known for English only)."""
    return [stem(word) for word in words(text) if word not in FUNCTION_WORDS and not word.endswith(_NEGATED_ENDING)]


@lru_cache(maxsize=TEXTS_KEPT_MAX)
def content_set(text: str) -> frozenset[str]:
    """The different `content_words` of *text*; remembered, as a playbook's texts come again with every turn."""
    return frozenset(content_words(text))


def negations(text: str) -> int:
    """How many words of *text* negate or restrict (English)."""
    return sum(word in NEGATIONS or word.endswith(_NEGATED_ENDING) for word in words(text))


@lru_cache(maxsize=TEXTS_KEPT_MAX)
def reads_english(text: str) -> bool:
    """Whether *text* is in Latin script and has more common words of English than of other languages."""
    if any(char.isalpha() and not _is_latin(char) for char in text if not char.isascii()):
        return False
    said = words(text)
    common = sum(word in _COMMON for word in said)
    return common > sum(word in _OTHERS for word in said) and common >= ENGLISH_SHARE_MIN * len(said)


def mostly_english(texts: Iterable[str]) -> bool:
    """
    Whether the words in Latin letters of *texts* are English: no more of them show another language, and enough of many
    are words that any English text has.
    """
    said = [word for text in texts for word in words(text) if word[:1].isascii() or _is_latin(word[0])]
    common = sum(word in _COMMON or word in FUNCTION_WORDS for word in said)
    few = len(said) < MANY_WORDS_MIN
    return common >= sum(map(_is_foreign, said)) and (few or common >= COMMON_SHARE_MIN * len(said))


def _is_foreign(word: str) -> bool:
    return word in _OTHERS or not word.isascii()


@lru_cache(maxsize=STEMS_KEPT_MAX)
def stem(word: str) -> str:
    """*word* without its commonest English endings, so that `transferring`, `transfers` and `transfer` are one."""
    base = word.removesuffix("'s")
    if base.isalpha() and not base.endswith("ss"):
        for suffix in _SUFFIXES:
            if base.endswith(suffix) and len(base) - len(suffix) >= _STEM_LENGTH_MIN:
                cut = base[: -len(suffix)]
                base = cut + "y" if suffix in {"ies", "ied"} else _undoubled(cut)
                break
    return base.removesuffix("e") if len(base) > _STEM_LENGTH_MIN else base


def _undoubled(cut: str) -> str:
    doubled = len(cut) > _STEM_LENGTH_MIN and cut[-1] == cut[-2] and cut[-1] not in "aeiouls"
    return cut[:-1] if doubled else cut


def _is_latin(char: str) -> bool:
    return unicodedata.name(char, "").startswith("LATIN")
