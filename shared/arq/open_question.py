"""
The open question that checks a claim blind. It must not name the answer: models tend to agree with what a question
states (CoVe, arXiv 2309.11495 §5: open questions beat yes/no ones).
"""

from collections.abc import Iterable

from shared.arq.wording import contains_phrase
from shared.text.english import content_words, stem
from shared.text.plain import squeezed
from shared.text.words import words

QUESTION_CHARS_MAX = 400
TOPIC_WORDS_MAX = 8


def open_question(proposed: str, text: str, value: str, facts: Iterable[str]) -> str:
    """
    The question for a claim that says *text* and in it *value*: the *proposed* one, unless it is missing, overlong
    or gives the answer away; then a neutral one of words that the claim shares with the texts of its *facts*.
    """
    question = squeezed(proposed)
    if question and len(question) <= QUESTION_CHARS_MAX and not gives_away(question, text, value):
        return question
    shared = {stem(word) for fact in facts for word in words(fact)} & set(content_words(text))
    hidden = set(words(value))
    topic = [
        word for word in dict.fromkeys(words(text)) if stem(word) in shared and word not in hidden and word.isalpha()
    ]
    return f"What do the facts say about {' '.join(topic[:TOPIC_WORDS_MAX]) or 'this matter'}?"


def gives_away(question: str, text: str, value: str) -> bool:
    """Whether *question* names *value*, a number of it (of *text* where no value is given), or all that *text* says."""
    asked = set(words(question))
    numbers = {word for word in words(value or text) if any(char.isdigit() for char in word)}
    if contains_phrase(question, value) or numbers & asked:
        return True
    said = set(content_words(text))
    return bool(said) and said <= set(content_words(question))
