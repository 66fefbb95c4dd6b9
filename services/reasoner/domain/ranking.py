"""
Choosing by shared words: the rarer the word, the more it counts.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from shared.text.terms import terms


def all_fit(texts: Sequence[str], count_max: int, chars_max: int) -> bool:
    """Whether *texts* may all be shown."""
    return len(texts) <= count_max and sum(map(len, texts)) <= chars_max


def index(texts: Sequence[str], *, english: bool = True) -> dict[str, list[int]]:
    """The places in *texts* where each term occurs; *english* as in `shared.text.terms`."""
    places: dict[str, list[int]] = defaultdict(list)
    for place, text in enumerate(texts):
        for word in set(terms(text, english=english)):
            places[word].append(place)
    return dict(places)


def ranked(places_by_word: Mapping[str, list[int]], words: Iterable[str], count: int) -> list[int]:
    """The places that share any of *words*, best first; a word counts by its inverse document frequency."""
    scores: dict[int, float] = defaultdict(float)
    for word in dict.fromkeys(words):
        places = places_by_word.get(word, ())
        for place in places:
            scores[place] += math.log(1 + count / len(places))
    return sorted(scores, key=lambda place: (-scores[place], place))


def within(order: Iterable[int], texts: Sequence[str], count_max: int, chars_max: int) -> list[int]:
    """The first of *order* whose texts fit together; one that does not fit is passed over."""
    chosen: list[int] = []
    room = chars_max
    for place in order:
        if len(chosen) < count_max and len(texts[place]) <= room:
            chosen.append(place)
            room -= len(texts[place])
    return chosen
