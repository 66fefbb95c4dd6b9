"""The matcher's parts by themselves, as measurements run them."""

import io
import json
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry

from services.matcher.domain.compiled import compiled
from services.matcher.offline import Remembered, main, rank, resolving
from shared.llm.embeddings import Embeddings, EmbeddingsSettings
from shared.llm.metrics import LlmMetrics
from shared.llm.rehearsal.embedding import embedded
from shared.playbook.model import Guideline, Playbook, Profile


def playbook(*conditions: str, fill: int = 60) -> Playbook:
    texts = (*conditions, *(f"The customer asks about subject{n}" for n in range(fill)))
    guidelines = tuple(Guideline(id=f"g{place}", condition=text, action="x") for place, text in enumerate(texts))
    return Playbook(agent="desk", profile=Profile(name="A"), guidelines=guidelines)


def line(book: Playbook, turn: Any) -> str:
    return json.dumps({"playbook": book.model_dump(mode="json"), "opened": turn.model_dump(mode="json")})


def test_ranks_hold_what_shares_a_word_and_always_what_no_message_names(opened: Any) -> None:
    book = playbook("The customer lost a card", "The customer is upset", "The moon is full")
    (found,) = rank([line(book, opened("I lost my card"))])
    assert found["ranked"] == ["g0"]
    assert found["always"] == ["g1"]
    assert {"g0", "g1"} <= set(found["asked"])
    assert "g2" not in found["asked"]


def test_of_few_guidelines_all_are_asked_about(opened: Any) -> None:
    (found,) = rank([line(playbook("The moon is full", fill=3), opened("x"))])
    assert found["ranked"] == found["always"] == found["asked"] == ["g0", "g1", "g2", "g3"]


async def test_with_similarity_what_shares_no_word_is_found_and_each_text_is_embedded_once(opened: Any) -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        asked.extend(body["input"])
        return httpx.Response(200, json=embedded(body, "m"))

    settings = EmbeddingsSettings(url="http://e.test/v1")
    transport = httpx.MockTransport(answer)
    book = playbook("The customer misplaced creditcards")
    async with Embeddings(settings, LlmMetrics(CollectorRegistry()), transport=transport) as embeddings:
        known = Remembered(embeddings)
        found = {}
        for text in ("misplacing creditcard", "another"):
            turn = opened(text)
            similarity = await known.similarity(compiled(book), turn)
            (found[text],) = rank([line(book, turn)], lambda _desk, _turn, given=similarity: given)
        small = playbook("The moon is full", fill=3)
        assert await known.similarity(compiled(small), opened("x")) is None
    assert found["misplacing creditcard"]["ranked"][0] == "g0"
    assert len(asked) == len(set(asked)) == 61 + 2


def test_resolving_is_timed_by_how_many_match() -> None:
    found = resolving(guidelines=50, relationships=100)
    assert found.keys() == {"graph", "24", "50"}
    assert min(found.values()) >= 0


def test_an_unknown_command_is_refused_with_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["guess"]) == 2
    assert "rank, resolve" in capsys.readouterr().err


def test_the_rank_command_reads_lines_and_writes_as_many(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], opened: Any
) -> None:
    monkeypatch.delenv("HOLDFAST_EMBEDDINGS_URL", raising=False)
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join([line(playbook(fill=2), opened("x"))] * 2)))
    assert main(["rank"]) == 0
    assert [json.loads(text)["asked"] for text in capsys.readouterr().out.splitlines()] == [["g0", "g1"]] * 2


def test_an_endpoint_that_is_away_ends_the_measurement_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], opened: Any
) -> None:
    """A figure by words alone must not pass for one by meaning."""
    monkeypatch.setenv("HOLDFAST_EMBEDDINGS_URL", "http://127.0.0.1:1/v1")
    monkeypatch.setenv("HOLDFAST_EMBEDDINGS_RETRIES_MAX", "0")
    monkeypatch.setattr("sys.stdin", io.StringIO(line(playbook(), opened("x"))))
    assert main(["rank"]) == 1
    assert "127.0.0.1:1" in capsys.readouterr().err
