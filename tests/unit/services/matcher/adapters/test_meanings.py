"""Similarity by meaning: an index made beside the turns, and words alone where it is missing."""

import asyncio
import json
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry

from services.matcher.adapters import meanings
from services.matcher.adapters.meanings import VectorMeanings
from services.matcher.domain.compiled import compiled
from services.matcher.metrics import MatcherMetrics
from shared.events.turns import TurnOpened
from shared.llm.embeddings import Embeddings, EmbeddingsSettings
from shared.llm.metrics import LlmMetrics
from shared.llm.rehearsal.embedding import embedded
from shared.playbook.model import Guideline, Playbook, Profile


def playbook(*conditions: str) -> Playbook:
    fill = tuple(f"The customer asks about subject{n}" for n in range(60))
    guidelines = (
        Guideline(id=f"g{place}", condition=text, action="x") for place, text in enumerate((*conditions, *fill))
    )
    return Playbook(agent="desk", profile=Profile(name="A"), guidelines=tuple(guidelines))


class World:
    """An endpoint that can go away, and what was asked of it."""

    def __init__(self, bytes_max: int = 10_000_000) -> None:
        self.asked: list[list[str]] = []
        self.away = False
        registry = CollectorRegistry()
        self.registry = registry
        settings = EmbeddingsSettings(url="http://e.test/v1", retries_max=0, index_retry_seconds=1_000)
        transport = httpx.MockTransport(self._answer)
        self.embeddings = Embeddings(settings, LlmMetrics(registry), transport=transport)
        self.meanings = VectorMeanings(self.embeddings, MatcherMetrics(registry), bytes_max=bytes_max)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if self.away:
            return httpx.Response(503)
        body = json.loads(request.content)
        self.asked.append(body["input"])
        return httpx.Response(200, json=embedded(body, "m"))

    async def similarity(self, book: Playbook, turn: TurnOpened) -> Any:
        return await self.meanings.similarity(compiled(book), turn, deadline=asyncio.get_running_loop().time() + 5)

    async def indexed(self) -> None:
        await asyncio.gather(*self.meanings._under_way.values())

    def without(self, reason: str) -> float | None:
        return self.registry.get_sample_value("holdfast_match_without_meaning_total", {"reason": reason})


async def test_the_first_turn_goes_on_without_and_the_next_ones_have_it(opened: Any) -> None:
    world, book = World(), playbook("The customer lost a card")
    assert await world.similarity(book, opened("I lost my card")) is None
    assert world.without("index") == 1
    await world.indexed()
    found = await world.similarity(book, opened("The customer lost a card"))
    assert found.argmax() == 0
    assert found[0] == pytest.approx(1, abs=0.002)
    assert len(world.asked[-1]) == 1


async def test_a_new_version_embeds_only_what_changed(opened: Any) -> None:
    world = World()
    await world.similarity(playbook("The customer lost a card"), opened("x"))
    await world.indexed()
    world.asked.clear()
    changed = playbook("The customer found a card")
    await world.similarity(changed, opened("x", version="w"))
    await world.indexed()
    assert world.asked == [["The customer found a card"]]
    assert (await world.similarity(changed, opened("found a card", version="w"))).argmax() == 0


async def test_while_the_endpoint_is_away_turns_go_on_and_it_is_not_asked_each_time(opened: Any) -> None:
    world, book = World(), playbook("The customer lost a card")
    world.away = True
    await world.similarity(book, opened("x"))
    await world.indexed()
    world.away = False
    assert await world.similarity(book, opened("x")) is None
    assert world.meanings._under_way == {}
    assert world.asked == []


async def test_an_index_that_fails_oddly_is_not_begun_again_by_each_turn(
    opened: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise RecursionError

    world, book = World(), playbook("The customer lost a card")
    monkeypatch.setattr(meanings, "_plan", broken)
    await world.similarity(book, opened("x"))
    await asyncio.gather(*world.meanings._under_way.values(), return_exceptions=True)
    assert await world.similarity(book, opened("x")) is None
    assert world.meanings._under_way == {}


async def test_a_query_that_fails_leaves_the_turn_with_words(opened: Any) -> None:
    world, book = World(), playbook("The customer lost a card")
    await world.similarity(book, opened("x"))
    await world.indexed()
    world.away = True
    assert await world.similarity(book, opened("x")) is None
    assert world.without("server_error") == 1 or world.without("overloaded") == 1


async def test_small_playbooks_need_none(opened: Any) -> None:
    world = World()
    small = Playbook(agent="desk", profile=Profile(name="A"), guidelines=(Guideline(id="g", condition="x"),))
    assert await world.similarity(small, opened("x")) is None
    assert world.asked == []


async def test_the_least_recently_used_agents_vectors_make_room(opened: Any) -> None:
    world, book = World(bytes_max=20_000), playbook("The customer lost a card")
    for tenant in ("a", "b"):
        turn = opened("x")
        turn = turn.model_copy(update={"turn": turn.turn.model_copy(update={"tenant": tenant})})
        await world.similarity(book, turn)
        await world.indexed()
    assert list(world.meanings._kept) == [("b", "desk")]
