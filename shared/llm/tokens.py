"""
Tokens, estimated: no tokenizer fits every model, and budgets need a figure before the endpoint reports its own.
"""

from collections.abc import Iterable

from shared.arq.prompt import Message

CHARACTERS_PER_TOKEN = 4
"""
The vendors' own rule of thumb for English; other scripts cost more, so a budget may be exceeded until usage is
reported.
"""


def estimate_tokens(characters: int) -> int:
    """Tokens of a text of *characters* characters, rounded up."""
    return -(-characters // CHARACTERS_PER_TOKEN)


def estimate_input_tokens(messages: Iterable[Message]) -> int:
    """Tokens of a prompt; the schema's share is left out, as providers differ in whether they charge for it."""
    return estimate_tokens(sum(len(message.content) for message in messages))
