"""
Texts whose tokens crowd a prompt: each is paid for with every turn in which it is shown.
"""

import json
from collections.abc import Iterator

from shared.llm.tokens import estimate_tokens
from shared.playbook.finding import Basis, Finding, Path, Severity
from shared.playbook.model import Playbook

TEXT_TOKENS_ADVISED = 400
"""Of one fact, description, canned reply or journey state. With 24 candidates of this size a prompt has 10,000."""
PINNED_TOKENS_ADVISED = 2_000
"""Of all guidelines that are candidates in every turn."""
FACTS_TOKENS_ADVISED = 6_000
"""Of all facts and the glossary, which a draft is written from."""
JOURNEY_TOKENS_ADVISED = 3_000
"""Of one journey, which is shown whole while it is under way."""


def crowding(playbook: Playbook) -> Iterator[Finding]:
    """Single texts, and parts that are shown together, that are larger than is good for a prompt."""
    for path, text in _single(playbook):
        tokens = estimate_tokens(len(text))
        if tokens > TEXT_TOKENS_ADVISED:
            yield _crowds(path, f"the text has about {tokens:,} tokens", "shorten it, or divide it")
    for index, journey in enumerate(playbook.journeys):
        tokens = estimate_tokens(len(json.dumps(journey.model_dump(mode="json", exclude_defaults=True))))
        if tokens > JOURNEY_TOKENS_ADVISED:
            reason = f"the journey has about {tokens:,} tokens, shown in every turn while it is under way"
            yield _crowds(("journeys", index), reason, "divide it into journeys that follow each other")
    pinned = sum(_tokens(one.condition, one.action, one.description) for one in playbook.guidelines if one.pinned)
    if pinned > PINNED_TOKENS_ADVISED:
        reason = f"pinned guidelines have about {pinned:,} tokens together, shown in every turn"
        yield _crowds(("guidelines",), reason, "pin only what no retrieval may miss")
    facts = sum(_tokens(one.text) for one in playbook.facts)
    if facts > FACTS_TOKENS_ADVISED:
        reason = f"the facts have about {facts:,} tokens together, and replies are written from them"
        yield _crowds(("facts",), reason, "move what changes or is seldom asked for behind a tool")


def _single(playbook: Playbook) -> Iterator[tuple[Path, str]]:
    yield ("profile", "description"), playbook.profile.description
    for index, guideline in enumerate(playbook.guidelines):
        yield ("guidelines", index, "description"), guideline.description
    for index, fact in enumerate(playbook.facts):
        yield ("facts", index, "text"), fact.text
    for index, term in enumerate(playbook.glossary):
        yield ("glossary", index, "meaning"), term.meaning
    for index, journey in enumerate(playbook.journeys):
        for place, state in enumerate(journey.states):
            yield ("journeys", index, "states", place, "action"), state.action


def _tokens(*texts: str) -> int:
    return estimate_tokens(sum(map(len, texts)))


def _crowds(path: Path, reason: str, remedy: str) -> Finding:
    return Finding(Severity.WARNING, "crowding_text", path, reason, remedy, by=Basis.HEURISTIC)
