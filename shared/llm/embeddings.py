"""
Embeddings by any OpenAI-compatible endpoint (`/v1/embeddings`: OpenAI, vLLM, Ollama, text-embeddings-inference).

A batch of texts crosses the limits, retries and measures of a model call as a request whose messages are the texts,
and comes back as a completion whose text is their vectors, packed: so one machinery serves both.
"""

import asyncio
import base64
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, ClassVar, Final, Literal, Self

import httpx
import numpy as np
import numpy.typing as npt
from pydantic import Field, field_validator

from shared.arq.prompt import Message
from shared.llm import openai
from shared.llm.adapter import HttpModel
from shared.llm.base import Completion, LanguageModel, Request, Usage
from shared.llm.body import no_stream
from shared.llm.client import limit
from shared.llm.errors import ModelUnavailable
from shared.llm.http_errors import from_answer
from shared.llm.metrics import LlmMetrics
from shared.llm.settings import LlmSettings
from shared.llm.usage import tokens_in
from shared.llm.wire import Reading, Wire, estimated_usage, named_model

Vectors = npt.NDArray[np.float32]

PURPOSE = "embed"
NOT_A_VECTOR_EACH = "the endpoint gave not one finite vector for each text"


class EmbeddingsSettings(LlmSettings):
    """
    Where texts are turned into vectors (section `embeddings`), with the limits of a model call; off without `url`.
    """

    operation: ClassVar[str] = "embeddings"

    url: str = ""
    """Base address; `/embeddings` is appended. Empty: words alone decide what is asked about."""
    model: str = Field(default="rehearsal", min_length=1)
    """The model's name, as the endpoint knows it."""
    provider: Literal["embeddings"] = "embeddings"  # type: ignore[assignment]  # its metrics stay apart from the model's
    """The protocol: OpenAI-compatible embeddings."""
    answer_bytes_max: int = Field(default=33_554_432, ge=1_024)
    """A longer answer is discarded, and read no further."""

    encoding: Literal["base64", "float"] = "base64"
    """How vectors are asked for; base64 is read in a twentieth of the time. `float` for servers that refuse it."""
    dimensions: int = Field(default=0, ge=0, le=8_192)
    """Of the vectors, asked of models that can shorten them; 0 = what the model gives."""
    batch_texts_max: int = Field(default=64, ge=1, le=2_048)
    """Texts in one request."""
    batch_chars_max: int = Field(default=100_000, ge=1)
    """Characters in one request; a longer single text goes alone."""
    text_chars_max: int = Field(default=8_000, ge=1)
    """Of one text; what is longer is cut, as most models read some 2,000 tokens or fewer."""
    batches_at_once_max: int = Field(default=4, ge=1)
    """Requests at once while a playbook is indexed."""
    index_seconds_max: float = Field(default=300.0, gt=0)
    """For all texts of a playbook version; until they are there, words alone decide."""
    index_retry_seconds: float = Field(default=30.0, gt=0)
    """After a playbook version could not be indexed, before that is tried again."""
    query_seconds_max: float = Field(default=1.0, gt=0)
    """For a turn's text; then the turn goes on with words alone."""

    @field_validator("url")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        return super()._is_an_address(value) if value else value


class Embeddings:
    """The endpoint with all its limits; an async context manager that closes its connections."""

    def __init__(
        self, settings: EmbeddingsSettings, metrics: LlmMetrics, *, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self.settings = settings
        self._adapter = HttpModel(settings, wire=WIRE, transport=transport)
        self._model: LanguageModel = limit(self._adapter, settings, metrics)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._adapter.__aexit__(kind, error, trace)

    async def vectors(self, texts: Sequence[str], *, tenant: str, deadline: float, request_id: str = "") -> Vectors:
        """
        One row of length 1 for each of *texts*, before *deadline* (the event loop's clock, seconds).

        Raises:
            ModelUnavailable, ModelRefused, InvalidAnswer: as of a model call; then none of the texts has a vector.

        """
        if not texts:
            return np.zeros((0, 0), dtype=np.float32)
        places = asyncio.Semaphore(self.settings.batches_at_once_max)

        async def one(batch: Sequence[str]) -> Vectors:
            async with places:
                messages = tuple(Message("user", text) for text in batch)
                request = Request(PURPOSE, tenant, messages, PURPOSE, {}, deadline, 0.0, 1, request_id)
                return unpacked((await self._model.complete(request)).text, len(batch))

        parts = await _all(one(batch) for batch in self._batches(texts))
        if len({part.shape[1] for part in parts}) > 1:
            raise ModelUnavailable("server_error", "the endpoint's vectors differ in length; is it one model?")
        return np.concatenate(parts)

    def _batches(self, texts: Sequence[str]) -> Iterator[list[str]]:
        batch: list[str] = []
        chars = 0
        for text in texts:
            # An endpoint rejects an empty text, and with it the whole batch.
            cut = text[: self.settings.text_chars_max] or " "
            if batch and (
                len(batch) == self.settings.batch_texts_max or chars + len(cut) > self.settings.batch_chars_max
            ):
                yield batch
                batch, chars = [], 0
            batch.append(cut)
            chars += len(cut)
        yield batch


async def _all(awaitables: Iterator[Coroutine[Any, Any, Vectors]]) -> list[Vectors]:
    tasks = [asyncio.create_task(one) for one in awaitables]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


def payload(request: Request, settings: LlmSettings) -> dict[str, Any]:
    """The body that asks for the vectors of *request*'s messages."""
    body: dict[str, Any] = {
        "model": settings.model,
        "input": [message.content for message in request.messages],
    }
    if isinstance(settings, EmbeddingsSettings):
        body["encoding_format"] = settings.encoding
        if settings.dimensions:
            body["dimensions"] = settings.dimensions
    return body


def read(answer: Mapping[str, Any], request: Request, model: str) -> Reading:
    """The vectors in an answer, in whichever encoding, packed; see `Wire.read`."""
    if error := answer.get("error"):
        raise from_answer(error)
    try:
        matrix = np.stack([_row(item["embedding"]) for item in _in_order(answer["data"])])
    except (LookupError, TypeError, AttributeError, ValueError, OverflowError):
        raise ModelUnavailable(
            "server_error", "the answer is no list of embeddings; is HOLDFAST_EMBEDDINGS_URL right?"
        ) from None
    if matrix.ndim != 2 or len(matrix) != len(request.messages) or not matrix.size:  # noqa: PLR2004
        raise ModelUnavailable("server_error", NOT_A_VECTOR_EACH)
    with np.errstate(over="ignore"):
        norms = np.linalg.norm(matrix, axis=1, keepdims=True)
    if not np.isfinite(norms).all():
        raise ModelUnavailable("server_error", NOT_A_VECTOR_EACH)
    spent = answer.get("usage")
    tokens = tokens_in(spent.get("prompt_tokens")) if isinstance(spent, dict) else None
    usage = estimated_usage(request, "") if tokens is None else Usage(tokens, 0, calls=1)
    # A vector of zeros has no direction; it stays one, and is like nothing.
    packed_text = packed(np.divide(matrix, norms, out=np.zeros_like(matrix), where=norms > 0))
    return Reading(Completion(packed_text, "stop", usage, named_model(answer, model)), estimated=tokens is None)


def _in_order(data: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """
    The items of *data* by their index. Those without one take the places that are left, as they came: some servers
    write none, others leave out the zero.
    """
    named = {item["index"]: item for item in data if item.get("index") is not None}
    others = iter([item for item in data if item.get("index") is None])
    return [named[place] if place in named else next(others, {}) for place in range(len(data))]


def _row(given: object) -> Vectors:
    """One vector: base64 of little-endian float32, or a list of numbers."""
    if isinstance(given, str):
        return np.frombuffer(base64.b64decode(given, validate=True), dtype="<f4").astype(np.float32)
    with np.errstate(over="ignore"):
        return np.array(given, dtype=np.float32)


def packed(vectors: Vectors) -> str:
    """*vectors* as text."""
    return base64.b64encode(vectors.tobytes()).decode("ascii")


def unpacked(text: str, count: int) -> Vectors:
    """The *count* vectors that `packed` gave."""
    return np.frombuffer(base64.b64decode(text), dtype=np.float32).reshape(count, -1)


WIRE: Final = Wire("/embeddings", openai.headers, payload, read, no_stream)
