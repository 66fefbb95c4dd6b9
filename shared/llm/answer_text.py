"""
The document in what a model answered: without what servers leave around it.

A reasoning model's thoughts, the end-of-turn token of a chat template, a byte order mark or a code fence are no sign
that the model has lost its way, and are taken off. Prose is: such an answer is discarded as it stands.
"""

from typing import Final

THOUGHTS_END: Final = "</think>"
"""Some servers keep the opening tag to themselves, as their template writes it."""
END_TOKENS: Final = (
    "<|im_end|>",
    "<|eot_id|>",
    "<|end|>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "<|return|>",
    "<end_of_turn>",
    "<eos>",
    "</s>",
)
_FENCE: Final = "```"
_LANGUAGE: Final = "json"
_BYTE_ORDER_MARK: Final = "\ufeff"
_JSON_BEGINS: Final = ("{", "[")


def document_in(text: str) -> tuple[str, bool]:
    """The document in *text*, and whether it stood in a code fence."""
    bare = _without_end_tokens(_without_thoughts(text.lstrip(_BYTE_ORDER_MARK).strip()))
    inside = _inside_fence(bare)
    return (_once(bare), False) if inside is None else (inside, True)


def _without_thoughts(text: str) -> str:
    if text.startswith(_JSON_BEGINS):
        # A reply may name the tag.
        return text
    _, end, rest = text.partition(THOUGHTS_END)
    return rest.strip() if end else text


def _without_end_tokens(text: str) -> str:
    while token := next((token for token in END_TOKENS if text.endswith(token)), ""):
        text = text.removesuffix(token).rstrip()
    return text


def _inside_fence(text: str) -> str | None:
    if not (text.startswith(_FENCE) and text.endswith(_FENCE) and len(text) > 2 * len(_FENCE)):
        return None
    inside = text[len(_FENCE) : -len(_FENCE)]
    if inside[: len(_LANGUAGE)].lower() == _LANGUAGE:
        inside = inside[len(_LANGUAGE) :]
    return inside.strip()


def _once(text: str) -> str:
    """*text*, or its half where a gateway has joined the same answer twice."""
    half = len(text) // 2
    first, second = text[: len(text) - half].strip(), text[half:].strip()
    return first if first == second and first.startswith(_JSON_BEGINS) else text
