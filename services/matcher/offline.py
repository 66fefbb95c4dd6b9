"""
The matcher's parts without a broker and a chat model, for measurement: `python -m services.matcher.offline`.

`rank` reads lines of JSON, each with a `playbook` and an `opened` turn, and writes a line for each: `ranked`, the ids
nearest by words (and by meaning, where HOLDFAST_EMBEDDINGS_URL is set), `always`, those asked about whatever is said,
and `asked`, what the turn asks about. `resolve` writes how long resolving takes, with figures of the process.
"""

import asyncio
import gc
import json
import os
import random
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import numpy as np
from prometheus_client import CollectorRegistry

from services.matcher.adapters.meanings import spoken
from services.matcher.domain.compiled import Compiled, compiled
from services.matcher.domain.decision import first_inquiry
from services.matcher.domain.relationships import Node, graph_of
from services.matcher.domain.resolving import resolve
from services.matcher.domain.retrieval import Numbers
from services.matcher.domain.vectors import Table
from shared.errors import HoldfastError
from shared.events.turns import TurnOpened
from shared.llm.embeddings import Embeddings, EmbeddingsSettings, Vectors
from shared.llm.metrics import LlmMetrics
from shared.playbook.model import Playbook, Relationship, RelationshipKind
from shared.settings import ProcessSettings, read_settings

Similarity = Callable[[Compiled, TurnOpened], Numbers | None]

RANKED_MAX = 50
GUIDELINES = 10_000
RELATIONSHIPS = 20_000
REPEATS = 9
TAGS = 100
KINDS: Final = (
    RelationshipKind.DEPENDENCY,
    RelationshipKind.DEPENDENCY_ANY,
    RelationshipKind.PRIORITY,
    RelationshipKind.ENTAILMENT,
)


class OfflineSettings(ProcessSettings):
    """What is read from the environment."""

    embeddings: EmbeddingsSettings = EmbeddingsSettings()


class Remembered:
    """
    The similarity of turns by *embeddings*, in the form that the service holds vectors in; every text is embedded once,
    as the playbooks of a measurement are much alike.
    """

    def __init__(self, embeddings: Embeddings) -> None:
        self._embeddings = embeddings
        self._known: dict[str, Vectors] = {}

    async def similarity(self, desk: Compiled, opened: TurnOpened) -> Numbers | None:
        """
        As `services.matcher.adapters.meanings.VectorMeanings`, but it waits for the index.

        Raises:
            ModelUnavailable, ModelRefused, InvalidAnswer: as of a model call.

        """
        if desk.retriever is None:
            return None
        settings, texts = self._embeddings.settings, desk.retriever.texts
        query = spoken(opened, chars_max=settings.text_chars_max)
        new = [text for text in dict.fromkeys((*texts, query)) if text not in self._known]
        deadline = asyncio.get_running_loop().time() + settings.index_seconds_max
        made = await self._embeddings.vectors(new, tenant=opened.turn.tenant, deadline=deadline)
        self._known |= dict(zip(new, made, strict=True))
        rows = Table.of(np.stack([self._known[text] for text in texts]))
        return rows.cosines(self._known[query])


def without_meaning(_desk: Compiled, _opened: TurnOpened) -> None:
    """`Similarity` where no embeddings are at hand."""


def rank(lines: Iterable[str], similarity: Similarity = without_meaning) -> Iterator[dict[str, list[str]]]:
    """What the retriever makes of each of *lines*."""
    for line in lines:
        document = json.loads(line)
        playbook = Playbook.model_validate(document["playbook"])
        opened = TurnOpened.model_validate(document["opened"])
        desk = compiled(playbook)
        nearness = similarity(desk, opened)
        asked = [candidate.id for candidate in first_inquiry(desk, opened, nearness).candidates.values()]
        if desk.retriever is None:
            yield {"ranked": asked, "always": asked, "asked": asked}
            continue
        scores = desk.retriever.scores(opened, nearness)
        order = np.argsort(-scores, kind="stable")[:RANKED_MAX]
        ranked = [desk.candidates[place].id for place in order if scores[place] > 0]
        yield {"ranked": ranked, "always": sorted(desk.retriever.always(opened, nearness)), "asked": asked}


def resolving(guidelines: int = GUIDELINES, relationships: int = RELATIONSHIPS) -> dict[str, float]:
    """Milliseconds of CPU that resolving takes (the least of several), by the number of matches, and of the graph."""
    draw = random.Random(1)
    names = [f"g{place}" for place in range(guidelines)]
    nodes = [Node(name, (f"t{draw.randrange(TAGS)}",)) for name in names]
    drawn = [_drawn(draw, names) for _ in range(relationships)]
    begun = time.process_time()
    graph = graph_of(nodes, drawn)
    found = {"graph": (time.process_time() - begun) * 1000}
    # As in a service's process, where the collector leaves alone what has stood since the start.
    gc.freeze()
    for count in sorted({min(count, guidelines) for count in (24, 1_000, guidelines)}):
        matched = draw.sample(names, count)
        found[str(count)] = min(_timed(lambda matched=matched: resolve(graph, matched, {})) for _ in range(REPEATS))
    return found


def _timed(work: Any) -> float:
    begun = time.process_time()
    work()
    return (time.process_time() - begun) * 1000


def _drawn(draw: random.Random, names: list[str]) -> Relationship:
    source, *targets = draw.sample(names, 3)
    kind = draw.choice(KINDS)
    return Relationship(
        kind=kind, source=source, targets=tuple(targets if kind is RelationshipKind.DEPENDENCY_ANY else targets[:1])
    )


def _ranked() -> Iterator[dict[str, list[str]]]:
    settings = read_settings(OfflineSettings, os.environ).embeddings
    if not settings.url:
        yield from rank(sys.stdin)
        return
    with asyncio.Runner() as runner:
        embeddings = Embeddings(settings, LlmMetrics(CollectorRegistry()))
        known = Remembered(embeddings)
        try:
            yield from rank(sys.stdin, lambda desk, opened: runner.run(known.similarity(desk, opened)))
        finally:
            runner.run(embeddings.__aexit__(None, None, None))


COMMANDS: Final[dict[str, Callable[[], Iterable[Any]]]] = {"rank": _ranked, "resolve": lambda: [resolving()]}


def main(arguments: list[str]) -> int:
    """Run one command; the exit code."""
    if len(arguments) != 1 or arguments[0] not in COMMANDS:
        sys.stderr.write(f"give one of: {', '.join(COMMANDS)}\n")
        return 2
    try:
        for document in COMMANDS[arguments[0]]():
            sys.stdout.write(json.dumps(document) + "\n")
            sys.stdout.flush()
    except HoldfastError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
