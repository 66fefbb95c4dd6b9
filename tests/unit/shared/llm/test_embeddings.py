"""The embeddings client against the rehearsal's server and against endpoints that err."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import httpx
import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from shared.arq.prompt import Message
from shared.llm.base import Request
from shared.llm.embeddings import Embeddings, EmbeddingsSettings, read
from shared.llm.errors import DeadlineExceeded, ModelUnavailable
from shared.llm.metrics import LlmMetrics
from shared.llm.rehearsal.embedding import embedded, vector
from shared.llm.rehearsal.server import RehearsalServer
from shared.llm.rehearsal.settings import RehearsalSettings


def client(answer: Any, registry: CollectorRegistry | None = None, **settings: Any) -> Embeddings:
    """A client whose endpoint answers what *answer* makes of a request's body."""

    def handle(request: httpx.Request) -> httpx.Response:
        found = answer(json.loads(request.content))
        return found if isinstance(found, httpx.Response) else httpx.Response(200, json=found)

    known = EmbeddingsSettings(url="http://e.test/v1", **({"retries_max": 0} | settings))
    return Embeddings(known, LlmMetrics(registry or CollectorRegistry()), transport=httpx.MockTransport(handle))


def soon() -> float:
    return asyncio.get_running_loop().time() + 10


def rehearsed(body: Mapping[str, Any]) -> dict[str, Any]:
    return embedded(body, "rehearsal")


async def test_the_rehearsal_server_is_served_by_the_same_client_over_http() -> None:
    async with RehearsalServer(RehearsalSettings(), rules={}) as server:
        settings = EmbeddingsSettings(url=server.url)
        async with Embeddings(settings, LlmMetrics(CollectorRegistry())) as embeddings:
            texts = ["lost card", "my card is lost", "a harbour crane"]
            found = await embeddings.vectors(texts, tenant="t", deadline=soon())
    assert np.linalg.norm(found, axis=1) == pytest.approx([1, 1, 1], abs=1e-5)
    assert found[0] @ found[1] > found[0] @ found[2]


async def test_texts_go_in_bounded_batches_and_come_back_in_order() -> None:
    sizes: list[int] = []

    def answer(body: Mapping[str, Any]) -> dict[str, Any]:
        sizes.append(len(body["input"]))
        found = rehearsed(body)
        return found | {"data": found["data"][::-1]}

    registry = CollectorRegistry()
    texts = ["x" * 50, *(f"text {n}" for n in range(9)), ""]
    async with client(answer, registry, batch_texts_max=4, batch_chars_max=55, text_chars_max=40) as embeddings:
        found = await embeddings.vectors(texts, tenant="t", deadline=soon())
    assert sum(sizes) == len(texts)
    assert max(sizes) <= 4
    for row, text in zip(found, texts, strict=True):
        expected = np.array(vector(text[:40] or " "))
        assert row == pytest.approx(expected / np.linalg.norm(expected), abs=1e-5)
    tokens = [
        sample.value
        for family in registry.collect()
        for sample in family.samples
        if sample.name.endswith("token_usage_sum")
        and sample.labels.get("gen_ai_token_type") == "input"
        and sample.labels["gen_ai_operation_name"] == "embeddings"
    ]
    assert sum(tokens) > 0


@pytest.mark.parametrize("asked", ["base64", "float"])
@pytest.mark.parametrize("given", ["base64", "float"])
async def test_vectors_are_read_in_either_encoding_whichever_was_asked_for(asked: str, given: str) -> None:
    """Older servers answer in floats whatever is asked."""
    bodies: list[Mapping[str, Any]] = []

    def answer(body: Mapping[str, Any]) -> dict[str, Any]:
        bodies.append(body)
        return embedded({**body, "encoding_format": given}, "m")

    async with client(answer, encoding=asked) as embeddings:
        found = await embeddings.vectors(["lost card"], tenant="t", deadline=soon())
    expected = np.array(vector("lost card"))
    assert found[0] == pytest.approx(expected / np.linalg.norm(expected), abs=1e-6)
    assert [body["encoding_format"] for body in bodies] == [asked]


async def test_a_passing_error_is_retried() -> None:
    answers = iter([httpx.Response(503), None])
    async with client(
        lambda body: next(answers) or rehearsed(body), retries_max=1, retry_wait_first_seconds=0.001
    ) as embeddings:
        assert (await embeddings.vectors(["x"], tenant="t", deadline=soon())).shape == (1, 256)


@pytest.mark.parametrize(
    "answer",
    [
        {"error": "no"},
        {"data": []},
        {"data": [{"index": 0, "embedding": []}, {"index": 1, "embedding": [1.0]}]},
        {"data": [{"index": 1, "embedding": [1.0]}]},
        {"data": [{"index": 0, "embedding": ["a"]}]},
        {"data": [{"index": 0, "embedding": "no base64!"}]},
        {"data": [{"index": 0, "embedding": "AAA="}]},
        {"data": [{"index": 0, "embedding": 3.0}]},
        {"data": "text"},
        {"data": ["text"]},
        {"data": [{"index": 0, "embedding": []}]},
        {"data": [{"index": 0, "embedding": [None]}]},
        {"data": [{"index": 0, "embedding": [10**400]}]},
        {"data": [{"index": 0, "embedding": [1e300, 1.0]}]},
        {"data": [{"index": "first", "embedding": [1.0]}]},
        {"data": [{"index": -1, "embedding": [1.0]}]},
        {"data": [{"index": {}, "embedding": [1.0]}]},
    ],
)
async def test_what_is_no_vector_a_text_is_the_endpoints_error(answer: dict[str, Any]) -> None:
    async with client(lambda _: answer) as embeddings:
        with pytest.raises(ModelUnavailable) as caught:
            await embeddings.vectors(["x"], tenant="t", deadline=soon())
    assert caught.value.kind == "server_error"


async def test_a_passed_deadline_sends_nothing() -> None:
    async with client(rehearsed) as embeddings:
        with pytest.raises(DeadlineExceeded):
            await embeddings.vectors(["x"], tenant="t", deadline=asyncio.get_running_loop().time() - 1)


def test_no_address_is_off_and_a_wrong_one_is_refused() -> None:
    assert EmbeddingsSettings().url == ""
    with pytest.raises(ValueError, match="whole address"):
        EmbeddingsSettings(url="localhost")


@pytest.mark.parametrize(
    "body",
    [[], {}, {"input": [""]}, {"input": [1]}, {"input": []}, {"input": "x", "encoding_format": "hex"}]
    + [{"input": "x", "dimensions": size} for size in (0, 1_000, "many")],
)
def test_rehearsal_refuses_what_no_endpoint_takes(body: object) -> None:
    with pytest.raises(ValueError, match=r"is|has"):
        embedded(body, "m")


@pytest.mark.parametrize(
    "places",
    [(None, None, None), (None, 1, 2), (0, None, 2), (2, None, 0), (None, 0, None), (2, 0, 1)],
)
async def test_what_has_no_index_takes_the_places_that_are_left_as_it_came(places: tuple[int | None, ...]) -> None:
    left = iter(place for place in range(3) if place not in places)
    meant = [next(left) if place is None else place for place in places]
    items = [
        {"embedding": np.eye(3)[at].tolist()} | ({} if place is None else {"index": place})
        for place, at in zip(places, meant, strict=True)
    ]
    async with client(lambda _: {"data": items}) as embeddings:
        vectors = await embeddings.vectors(["a", "b", "c"], tenant="t", deadline=soon())
    assert (vectors == np.eye(3)).all()


@pytest.mark.parametrize("tokens", [-1, 10**30, 1.5, True, None, "7"])
async def test_a_cost_that_cannot_be_is_estimated(tokens: object) -> None:
    answer = {"data": [{"embedding": [1.0]}], "usage": {"prompt_tokens": tokens}}
    request = Request("embed", "t", (Message("user", "x" * 8),), "embed", {}, 0.0)
    reading = read(answer, request, "m")
    assert (reading.estimated, reading.completion.usage.input_tokens) == (True, 2)


async def test_an_error_in_a_success_is_that_error() -> None:
    async with client(lambda _: {"error": {"code": 429}}, retries_max=0) as embeddings:
        with pytest.raises(ModelUnavailable) as caught:
            await embeddings.vectors(["x"], tenant="t", deadline=soon())
    assert caught.value.kind == "rate_limited"
