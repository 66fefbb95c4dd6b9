"""
Which tools a turn may use: those that an active guideline or a due step of a journey names, and no other.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from services.reasoner.domain.tools.blueprints import tools_question
from shared.arq.blueprint import Blueprint, Queries
from shared.events.tools import ToolResult
from shared.events.turns import Matching
from shared.playbook.active import active_guidelines
from shared.playbook.model import Guideline, Playbook
from shared.playbook.tools import Tool


@dataclass(frozen=True, slots=True)
class Candidate:
    """A tool and the guidelines that make it a candidate, each as one text."""

    tool: Tool
    because: tuple[str, ...]

    @property
    def needs_asking(self) -> bool:
        """Whether a model has to say if and how it is called."""
        return bool(self.tool.parameters) or self.tool.consequential or self.tool.overlap is not None


class Toolbox:
    """The tools of one playbook version, and which guidelines name them."""

    def __init__(self, playbook: Playbook) -> None:
        self.tools: Mapping[str, Tool] = {tool.id: tool for tool in playbook.tools}
        self._guidelines = {guideline.id: guideline for guideline in playbook.guidelines}
        self._judged_anew = {
            tool for guideline in playbook.guidelines if guideline.enabled for tool in guideline.reevaluate_after
        }

    def candidates(self, matching: Matching, results: Iterable[ToolResult]) -> tuple[Candidate, ...]:
        """
        The tools that *matching* allows, by id, so that the same ones make the same question; without those that have
        a result in this turn already: a tool is decided on once a turn.
        """
        because: dict[str, list[str]] = {}
        for guideline, names in self._naming(matching):
            for name in names:
                because.setdefault(name, []).append(_text(guideline))
        done = {result.call.tool for result in results}
        return tuple(
            Candidate(self.tools[name], tuple(texts))
            for name, texts in sorted(because.items())
            if name in self.tools and name not in done
        )

    def changes_matching(self, matching: Matching, results: Iterable[ToolResult]) -> bool:
        """Whether a tool of *results* bears on what applies: a guideline waits for it, or a journey's step does."""
        ran = {result.call.tool for result in results}
        steps = {instruction.tool for instruction in matching.instructions if instruction.tool}
        return bool(ran & (self._judged_anew | steps))

    def question(self, candidates: Sequence[Candidate]) -> Blueprint[Queries]:
        """The question about *candidates*."""
        return tools_question([candidate.tool for candidate in candidates])

    def _naming(self, matching: Matching) -> Iterable[tuple[Guideline, Sequence[str]]]:
        of_steps = {instruction.id: instruction.tool for instruction in matching.instructions}
        for guideline in active_guidelines(matching, self._guidelines):
            yield guideline, [of_steps[guideline.id]] if guideline.id in of_steps else guideline.tools


def _text(guideline: Guideline) -> str:
    return f"{guideline.condition} -> {guideline.action}" if guideline.action else guideline.condition
