"""
`holdfast bench prompts`: what the prompts of a conversation cost, and how much of each a provider has seen before.

Providers keep the longest prefix that a prompt shares with an earlier one. What two prompts share is measured on their
texts, characters / 4 for tokens: with the conversation's former turn, and with the same turn of another conversation.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from os.path import commonprefix
from typing import Final

from services.operator.adapters.drive import Pace, playing
from services.operator.adapters.publisher import Publisher
from services.operator.adapters.stack import Stack
from services.operator.adapters.watch import Exchange, Watch
from services.operator.benchmarks import matching
from services.operator.domain.dialogues import Dialogue, Line
from shared.errors import Fatal
from shared.events.turns import Outcome
from shared.llm.rehearsal.answering import Question
from shared.llm.tokens import estimate_tokens
from shared.playbook.model import Playbook
from shared.playbook.tools import HttpCall, Parameter, Tool

TURNS: Final = 11
"""Of a conversation: the last one has ten turns of history."""
TOKENS_MAX: Final = 9_000
ASKED: Final = (
    "Good morning, how long does a domestic transfer take?",
    "And what is the fee for paying abroad?",
    "What is the daily limit of a transfer?",
    "What does the current account cost a month?",
    "How long does an international transfer take?",
    "Is the monthly fee ever waived?",
    "What is the fee for withdrawing cash abroad?",
    "How much interest do you charge for an overdraft?",
    "Where do I find a bank statement from 2019?",
    "What is the limit of a transfer on a weekend?",
    "How long does a transfer to Norway take, and what does paying abroad cost there?",
)
STAGES: Final = {"match": "match", "call": "tools", "draft": "draft", "pick": "draft"}
"""What a turn is asked about before it is verified, by the first word of the question's name."""
HEADER: Final = ("stage", "calls a reply", "tokens in, last turn", "seen in the former turn", "in another conversation")
_WITH_TOOLS: Final = ("transfer-time", "transfer-limit", "fee-abroad")
_NOWHERE: Final = HttpCall(url="http://127.0.0.1:9/")
"""A host that no process is allowed to reach: what the question costs is measured, not what a tool answers."""


@dataclass(slots=True)
class Heard:
    """The questions that the model was asked, in order."""

    questions: list[Question] = field(default_factory=list)

    def take(self, question: Question) -> None:
        """Note one."""
        self.questions.append(question)


@dataclass(frozen=True, slots=True)
class StageCost:
    """
    What one stage asks; `tokens` is the largest question of a conversation's last turn, the shares are means of what a
    question has in common with what was asked before, of the whole of its text.
    """

    stage: str
    calls: float
    tokens: int
    former_turn: float
    other_conversation: float


@dataclass(frozen=True, slots=True)
class Figures:
    """Of all stages before verification; `tokens` is what the last turn's questions have together."""

    stages: tuple[StageCost, ...]
    calls: float
    tokens: int

    def missed(self, *, tools: bool) -> list[str]:
        """The goals that were not reached."""
        calls_max = 3 if tools else 2
        found = {f"more than {calls_max} calls": self.calls > calls_max, "input tokens": self.tokens > TOKENS_MAX}
        return [name for name, is_missed in found.items() if is_missed]


def playbook(sample: Playbook, guidelines: int, *, tools: bool) -> Playbook:
    """*sample* with as many guidelines, three of them with a tool of their own where *tools* are wanted."""
    padded = matching.playbook(sample, guidelines)
    if not tools:
        return padded
    declared = tuple(_tool(name) for name in _WITH_TOOLS)
    named = tuple(
        one.model_copy(update={"tools": tuple(f"look-{name}" for name in _WITH_TOOLS)})
        if one.id in _WITH_TOOLS
        else one
        for one in padded.guidelines
    )
    return padded.model_copy(update={"guidelines": named, "tools": declared})


async def measure(stack: Stack, heard: Heard, texts: Sequence[str], *, tenant: str, agent: str) -> Figures:
    """
    Two conversations, one after the other: in the first the customer says *texts*, in the second their reverse.

    Raises:
        Fatal: a turn was not answered, so that what it was asked is not what a reply costs.

    """
    conversations = []
    for name, said in (("first", texts), ("second", texts[::-1])):
        before = len(heard.questions)
        lines = tuple(Line(text, float(number)) for number, text in enumerate(said))
        exchanges = await _played(stack, Dialogue(name, (), lines), tenant, agent)
        if any(one.closed.outcome is not Outcome.ANSWERED for one in exchanges):
            raise Fatal("a turn of the bench was not answered; see the logs of the services")
        conversations.append(_by_stage(heard.questions[before:]))
    first, second = conversations
    stages = tuple(_cost(stage, first[stage], second.get(stage, []), len(texts)) for stage in first)
    return Figures(stages, sum(one.calls for one in stages), sum(one.tokens for one in stages))


def shared_share(earlier: str, later: str) -> float:
    """What of *later* a provider has seen, when it was asked *earlier* before: the share of the common beginning."""
    common = commonprefix([earlier, later])  # noqa: RUF071 - these are texts, and characters are meant
    return len(common) / max(len(later), 1)


def rows(found: Figures) -> list[tuple[str, ...]]:
    """The figures, a row a stage."""
    stages = [
        (
            one.stage,
            f"{one.calls:.2f}",
            f"{one.tokens:,}",
            f"{one.former_turn:.0%}",
            f"{one.other_conversation:.0%}",
        )
        for one in found.stages
    ]
    return [*stages, ("before verification", f"{found.calls:.2f}", f"{found.tokens:,}", "", "")]


def _cost(stage: str, first: Sequence[str], second: Sequence[str], turns: int) -> StageCost:
    former = [shared_share(earlier, later) for earlier, later in pairwise(first)]
    other = [shared_share(one, two) for one, two in zip(first, second, strict=False)]
    return StageCost(
        stage=stage,
        calls=len(first) / turns,
        tokens=estimate_tokens(len(first[-1])),
        former_turn=sum(former) / max(len(former), 1),
        other_conversation=sum(other) / max(len(other), 1),
    )


def _by_stage(questions: Sequence[Question]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for question in questions:
        if stage := STAGES.get(question.schema_name.partition("_")[0]):
            found.setdefault(stage, []).append("\n".join(question.texts))
    return found


async def _played(stack: Stack, dialogue: Dialogue, tenant: str, agent: str) -> list[Exchange]:
    async with (
        Publisher(stack.kafka) as publisher,
        Watch(stack.kafka, tenant=tenant, start="end") as watch,
        playing([dialogue], tenant=tenant, agent=agent, pace=Pace(), publisher=publisher, watch=watch) as task,
    ):
        await task
        return list(watch.exchanges.values())


def _tool(name: str) -> Tool:
    parameters = (
        Parameter(name="account", description="The customer's account number", required=False, examples=("12-345",)),
        Parameter(name="country", description="The country that it is about", required=False),
    )
    return Tool(
        id=f"look-{name}", description=f"Looks up {name.replace('-', ' ')}", parameters=parameters, http=_NOWHERE
    )
