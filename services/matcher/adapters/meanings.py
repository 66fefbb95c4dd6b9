"""
What turns and guidelines mean, as vectors of an embeddings endpoint: similarity that words do not show.

A turn never waits for an index, and waits for its own vector only so long: whatever is missing, it goes on with words
alone. An index is put together in a thread, so that no other turn waits for it either.
"""

import asyncio
import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from functools import partial

import structlog

from services.matcher.domain.compiled import Compiled
from services.matcher.domain.retrieval import Numbers, Retriever
from services.matcher.domain.vectors import Table
from services.matcher.metrics import MatcherMetrics
from shared.events.turns import Turn, TurnOpened
from shared.llm.embeddings import Embeddings, Vectors
from shared.llm.errors import InvalidAnswer, ModelRefused, ModelUnavailable
from shared.stage.unexpected import ends_the_stage

QUERY_MESSAGES = 4
"""The last messages make a turn's text: one that says `the second one` means nothing by itself."""
DIGEST_BYTES = 16

log = structlog.get_logger(__name__)
Agent = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Index:
    """The vectors of a playbook version's texts; rows in their order."""

    version: str
    digests: tuple[bytes, ...]
    rows: Table


@dataclass(frozen=True, slots=True)
class _Plan:
    """What an index needs: a digest a text, the places that the former index has them at, and the texts it has not."""

    digests: tuple[bytes, ...]
    known: dict[bytes, int]
    new: dict[bytes, str]


class VectorMeanings:
    """`Meanings` by *embeddings*; the indexes of the most recently used agents are kept up to *bytes_max*."""

    def __init__(self, embeddings: Embeddings, metrics: MatcherMetrics, *, bytes_max: int) -> None:
        self._embeddings = embeddings
        self._metrics = metrics
        self._bytes_max = bytes_max
        self._kept: OrderedDict[Agent, _Index] = OrderedDict()
        self._under_way: dict[Agent, asyncio.Task[None]] = {}
        self._not_before: dict[Agent, float] = {}

    async def close(self) -> None:
        """Give up the indexes under way."""
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def similarity(self, desk: Compiled, opened: TurnOpened, *, deadline: float) -> Numbers | None:
        """
        The cosine of the turn's text with each of the retriever's texts, before *deadline* (the event loop's clock,
        seconds); None where that cannot be told now.
        """
        if desk.retriever is None:
            return None
        turn = opened.turn
        index = self._kept.get((turn.tenant, turn.agent))
        if index is None or index.version != turn.playbook_version:
            self._begin(turn, desk.retriever)
            self._missing("index")
            return None
        self._kept.move_to_end((turn.tenant, turn.agent))
        ends = min(deadline, asyncio.get_running_loop().time() + self._embeddings.settings.query_seconds_max)
        try:
            query = await self._embeddings.vectors(
                [spoken(opened, chars_max=self._embeddings.settings.text_chars_max)],
                tenant=turn.tenant,
                deadline=ends,
                request_id=turn.id,
            )
        except (ModelUnavailable, ModelRefused, InvalidAnswer) as error:
            self._missing(error.kind, error)
            return None
        if query.shape[1] != index.rows.dimensions:
            self._missing("dimensions")
            return None
        return index.rows.cosines(query[0])

    def _missing(self, reason: str, error: Exception | None = None) -> None:
        self._metrics.without_meaning.labels(reason).inc()
        if error is not None:
            log.warning("a turn's meaning is not known; words alone decide what is asked about", error=str(error))

    def _begin(self, turn: Turn, retriever: Retriever) -> None:
        agent, now = (turn.tenant, turn.agent), asyncio.get_running_loop().time()
        if agent not in self._under_way and now >= self._not_before.get(agent, now):
            task = self._under_way[agent] = asyncio.create_task(self._build(agent, turn.playbook_version, retriever))
            task.add_done_callback(partial(self._end, agent))

    def _end(self, agent: Agent, task: asyncio.Task[None]) -> None:
        del self._under_way[agent]
        error = None if task.cancelled() else task.exception()
        if error is None:
            return
        if ends_the_stage(error):
            raise error
        # Nobody waits for it; without a pause every turn would begin it anew.
        self._not_before[agent] = asyncio.get_running_loop().time() + self._embeddings.settings.index_retry_seconds
        log.error("a playbook could not be indexed by meaning", agent=agent[1], exc_info=error)

    async def _build(self, agent: Agent, version: str, retriever: Retriever) -> None:
        """Embed the texts of *retriever*, but for those that the agent's former version had as well."""
        former = self._kept.get(agent)
        plan = await asyncio.to_thread(_plan, retriever, former)
        loop, settings = asyncio.get_running_loop(), self._embeddings.settings
        try:
            made = await self._embeddings.vectors(
                list(plan.new.values()), tenant=agent[0], deadline=loop.time() + settings.index_seconds_max
            )
        except (ModelUnavailable, ModelRefused, InvalidAnswer) as error:
            self._not_before[agent] = loop.time() + settings.index_retry_seconds
            log.warning("a playbook could not be indexed by meaning", agent=agent[1], version=version, error=str(error))
            return
        self._not_before.pop(agent, None)
        rows = await asyncio.to_thread(_assembled, plan, former, made)
        if rows is None:
            self._kept.pop(agent, None)
            log.warning("the endpoint's vectors have another length than before; all are made anew", agent=agent[1])
            return
        self._keep(agent, _Index(version, plan.digests, rows))
        log.info(
            "a playbook is indexed by meaning",
            agent=agent[1],
            version=version,
            texts=len(plan.digests),
            new=len(plan.new),
            bytes=rows.nbytes,
        )

    def _keep(self, agent: Agent, index: _Index) -> None:
        self._kept[agent] = index
        self._kept.move_to_end(agent)
        while len(self._kept) > 1 and sum(item.rows.nbytes for item in self._kept.values()) > self._bytes_max:
            self._kept.popitem(last=False)


def spoken(opened: TurnOpened, *, chars_max: int) -> str:
    """The text that stands for what a turn is about; its end where it is longer than *chars_max*."""
    return "\n".join(item.text for item in opened.transcript[-QUERY_MESSAGES:])[-chars_max:]


def _plan(retriever: Retriever, former: _Index | None) -> _Plan:
    texts = retriever.texts
    digests = tuple(
        hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=DIGEST_BYTES).digest() for text in texts
    )
    known = {digest: place for place, digest in enumerate(former.digests)} if former else {}
    return _Plan(
        digests, known, {digest: text for digest, text in zip(digests, texts, strict=True) if digest not in known}
    )


def _assembled(plan: _Plan, former: _Index | None, made: Vectors) -> Table | None:
    """A row for each digest, from the *former* index or newly *made*; None where these differ in length."""
    if former is None:
        rows, offset = Table.of(made), 0
    elif not plan.new:
        rows, offset = former.rows, 0
    elif former.rows.dimensions != made.shape[1]:
        return None
    else:
        rows, offset = former.rows.joined(Table.of(made)), len(former.digests)
    places = plan.known | {digest: offset + place for place, digest in enumerate(plan.new)}
    return rows.picked([places[digest] for digest in plan.digests])
