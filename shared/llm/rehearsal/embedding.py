"""
Embeddings by rehearsal: counts of hashed runs of four characters. Texts that share spelling are near each other and no
text means anything, so no quality figure may come from them; they are the same on every machine.
"""

import base64
import struct
import zlib
from typing import Any

from shared.llm.tokens import estimate_tokens

DIMENSIONS = 256
RUN_LENGTH = 4
TEXTS_MAX = 2_048


def embedded(document: object, model: str) -> dict[str, Any]:
    """
    The answer of `/v1/embeddings` to *document*, as floats or as base64 of little-endian float32.

    Raises:
        ValueError: `input` is no text and no list of up to 2,048 texts, or another encoding is asked for.

    """
    if not isinstance(document, dict):
        raise ValueError("the body is no JSON object")  # noqa: TRY004 - the client's error, not ours
    texts = document.get("input")
    texts = [texts] if isinstance(texts, str) else texts
    if not isinstance(texts, list) or not all(isinstance(text, str) and text for text in texts):
        raise ValueError("`input` is no text and no list of texts; an empty text has no embedding")
    if not 0 < len(texts) <= TEXTS_MAX:
        raise ValueError(f"`input` has {len(texts)} texts; give 1 to {TEXTS_MAX}")
    encoding = document.get("encoding_format", "float")
    if encoding not in ("float", "base64"):
        raise ValueError("`encoding_format` is neither float nor base64")
    dimensions = document.get("dimensions", DIMENSIONS)
    if not isinstance(dimensions, int) or not 0 < dimensions <= DIMENSIONS:
        raise ValueError(f"`dimensions` is not within 1 to {DIMENSIONS}")
    tokens = estimate_tokens(sum(map(len, texts)))
    return {
        "object": "list",
        "model": model,
        "data": [
            {"object": "embedding", "index": place, "embedding": shown(vector(text, dimensions), encoding)}
            for place, text in enumerate(texts)
        ],
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def shown(numbers: list[float], encoding: str) -> list[float] | str:
    """*numbers* as they stand in an answer."""
    if encoding == "float":
        return numbers
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode("ascii")


def vector(text: str, dimensions: int = DIMENSIONS) -> list[float]:
    """How often each hash of a run of characters occurs in *text*, folded and with a blank at both ends."""
    folded = f" {' '.join(text.casefold().split())} "
    counts = [0.0] * dimensions
    for place in range(max(1, len(folded) - RUN_LENGTH + 1)):
        counts[zlib.crc32(folded[place : place + RUN_LENGTH].encode("utf-8", "replace")) % dimensions] += 1.0
    return counts
