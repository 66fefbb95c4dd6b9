"""
The matcher's pure parts without a broker and a model, for measurement: `python -m services.matcher.offline`.

`rank` reads lines of JSON, each with a `playbook` and an `opened` turn, and writes a line for each: `ranked`, the ids
nearest by words, `always`, those asked about whatever is said, and `asked`, what the turn asks about. `resolve` writes
how long resolving takes, with figures of the process.
"""

import gc
import json
import random
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import numpy as np

from services.matcher.domain.compiled import compiled
from services.matcher.domain.decision import first_inquiry
from services.matcher.domain.relationships import Node, graph_of
from services.matcher.domain.resolving import resolve
from shared.events.turns import TurnOpened
from shared.playbook.model import Playbook, Relationship, RelationshipKind

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


def rank(lines: Iterable[str]) -> Iterator[dict[str, list[str]]]:
    """What the retriever makes of each of *lines*."""
    for line in lines:
        document = json.loads(line)
        playbook = Playbook.model_validate(document["playbook"])
        opened = TurnOpened.model_validate(document["opened"])
        desk = compiled(playbook)
        asked = [candidate.id for candidate in first_inquiry(desk, opened).candidates.values()]
        if desk.retriever is None:
            yield {"ranked": asked, "always": asked, "asked": asked}
            continue
        scores = desk.retriever.scores(opened)
        order = np.argsort(-scores, kind="stable")[:RANKED_MAX]
        ranked = [desk.candidates[place].id for place in order if scores[place] > 0]
        yield {"ranked": ranked, "always": sorted(desk.retriever.always(opened)), "asked": asked}


def resolving() -> dict[str, float]:
    """Milliseconds of CPU that resolving takes (the least of several), by the number of matches, and of the graph."""
    draw = random.Random(1)
    names = [f"g{place}" for place in range(GUIDELINES)]
    nodes = [Node(name, (f"t{draw.randrange(TAGS)}",)) for name in names]
    relationships = [_drawn(draw, names) for _ in range(RELATIONSHIPS)]
    begun = time.process_time()
    graph = graph_of(nodes, relationships)
    found = {"graph": (time.process_time() - begun) * 1000}
    # As in a service's process, where the collector leaves alone what has stood since the start.
    gc.freeze()
    for count in (24, 1_000, GUIDELINES):
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


def main(arguments: list[str]) -> int:
    """Run one command; the exit code."""
    commands: Mapping[str, Any] = {"rank": lambda: rank(sys.stdin), "resolve": lambda: [resolving()]}
    if len(arguments) != 1 or arguments[0] not in commands:
        sys.stderr.write(f"give one of: {', '.join(commands)}\n")
        return 2
    for document in commands[arguments[0]]():
        sys.stdout.write(json.dumps(document) + "\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
