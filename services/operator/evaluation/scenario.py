"""
Scenarios: a playbook in small, a conversation, and what a right matcher decides about its newest message.
"""

import hashlib
import json
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, TypeAdapter, ValidationError, model_validator

from services.operator.evaluation.recorded import translated
from services.operator.review.blueprints import Kind
from shared.errors import Fatal
from shared.events.claims import ReasoningMode
from shared.events.composition import Composition
from shared.playbook.checking import check
from shared.playbook.finding import PlaybookError, errors
from shared.playbook.model import CannedReply, Fact, Guideline, Journey, Playbook, Profile, Relationship, Term
from shared.playbook.part import Name, Part
from shared.playbook.source import read_source
from shared.playbook.tools import HttpCall, Tool

FILE_BYTES_MAX = 64 * 1_048_576
CONVERSATION_LINES_MAX = 500


class Judged(StrEnum):
    """
    What of a decision is compared.

    * active: the guidelines that apply in the end, after choices and relationships.
    * verdicts: the guidelines that the model said apply.
    * choice: the guidelines that the customer is offered to choose between.
    * step: the state of the scenario's journey that is due; `ids` are the acceptable ones, none means that it is left.
    * performed: the guidelines that the conversation's last message, a reply, did what is asked by.
    * classified: the guidelines that are of the kind `kind`; there is no conversation.
    * calls: the tools that are called, with which arguments, when the guidelines of `ids` apply.
    * replied: what leaves as the reply when the guidelines of `ids` apply: `answer`, and that it `says` one text of
      each group; without a conversation, whether the agent would speak unasked.
    """

    ACTIVE = "active"
    VERDICTS = "verdicts"
    CHOICE = "choice"
    STEP = "step"
    PERFORMED = "performed"
    CLASSIFIED = "classified"
    CALLS = "calls"
    REPLIED = "replied"


class Line(Part):
    """A message of the conversation."""

    source: Literal["customer", "agent"]
    text: str = Field(min_length=1, max_length=65_536)


class ExpectedCall(Part):
    """A call of a tool; further arguments than those of `arguments` may be given."""

    tool: Name
    arguments: dict[str, str | float] = Field(default_factory=dict)

    def __str__(self) -> str:
        """As results name it."""
        return f"{self.tool}({', '.join(f'{name}={value}' for name, value in sorted(self.arguments.items()))})"


class Expected(Part):
    """
    The label. `matched` are the verdicts that lead to `ids` where these differ, as entailed guidelines are not asked
    about; scripted answers are made from it.
    """

    judged: Judged = Judged.ACTIVE
    ids: tuple[str, ...] = ()
    matched: tuple[str, ...] | None = None
    kind: Kind | None = None
    calls: tuple[ExpectedCall, ...] = ()
    answer: Literal["reply", "silence", "no_match"] = "reply"
    says: tuple[tuple[str, ...], ...] = ()


class Scenario(Part):
    """
    One labelled situation; `applied` are guidelines that an earlier reply performed, `path` are the states of its
    journey that were passed.
    """

    id: Annotated[str, Field(min_length=1, max_length=200)]
    area: Annotated[str, Field(min_length=1, max_length=200)]
    name: str = ""
    guidelines: tuple[Guideline, ...] = ()
    journey: Journey | None = None
    tools: tuple[Tool, ...] = ()
    relationships: tuple[Relationship, ...] = ()
    glossary: tuple[Term, ...] = ()
    facts: tuple[Fact, ...] = ()
    canned_replies: tuple[CannedReply, ...] = ()
    composition: Composition = Composition.FLUID
    mode: ReasoningMode = ReasoningMode.ARQ
    customer_name: str = ""
    conversation: tuple[Line, ...] = Field((), max_length=CONVERSATION_LINES_MAX)
    variables: dict[str, str] = Field(default_factory=dict)
    applied: tuple[Name, ...] = ()
    path: tuple[Name, ...] = ()
    expected: Expected

    @model_validator(mode="after")
    def _has_what_is_judged(self) -> Self:
        judged, said = self.expected.judged, self.conversation
        if judged is Judged.CLASSIFIED:
            if self.expected.kind is None:
                raise ValueError("`expected.kind` says which kind is judged")
            if not all(guideline.action for guideline in self.guidelines):
                raise ValueError("only guidelines with an action have a kind")
        elif not said and judged is not Judged.REPLIED:
            raise ValueError("`conversation` has no message")
        if judged is Judged.PERFORMED and said[-1].source != "agent":
            raise ValueError("the last message of `conversation` is not the reply that is judged")
        return self

    @model_validator(mode="after")
    def _labels_name_what_is_there(self) -> Self:
        guidelines = {guideline.id for guideline in self.guidelines}
        states = {state.id for state in self.journey.states} if self.journey else set()
        judged = states if self.expected.judged is Judged.STEP else guidelines
        named = {
            "expected": set(self.expected.ids) - judged,
            "expected.matched": set(self.expected.matched or ()) - guidelines,
            "applied": set(self.applied) - guidelines,
            "path": set(self.path) - states,
            "expected.calls": {call.tool for call in self.expected.calls} - {tool.id for tool in self.tools},
        }
        for key, strays in named.items():
            if strays:
                raise ValueError(f"`{key}` names {', '.join(sorted(strays))}, which the scenario does not have")
        return self

    def playbook(self, agent: str, distractors: Iterable[Guideline] = ()) -> Playbook:
        """The playbook of *agent* that the scenario is played with."""
        return Playbook(
            agent=agent,
            profile=Profile(name="Service desk"),
            guidelines=(*self.guidelines, *distractors),
            journeys=(self.journey,) if self.journey else (),
            tools=self._tools(),
            relationships=self.relationships,
            glossary=self.glossary,
            facts=self.facts,
            canned_replies=self.canned_replies,
            composition=self.composition,
            mode=self.mode,
        )

    def _tools(self) -> tuple[Tool, ...]:
        """
        The scenario's tools, and what its states and guidelines use beside them: matching and verifying call no tool,
        so it leads nowhere.
        """
        states = [state.tool for state in self.journey.states if state.tool] if self.journey else []
        named = [*states, *(name for one in self.guidelines for name in (*one.tools, *one.reevaluate_after))]
        nowhere = HttpCall(url="http://tool.invalid/")
        own = {tool.id for tool in self.tools}
        others = [name for name in dict.fromkeys(named) if name not in own]
        return (*self.tools, *(Tool(id=name, description=name, http=nowhere) for name in others))

    def fingerprint(self, guidelines: int, model: str) -> str:
        """What a result belongs to: the scenario's content, the number of guidelines it is padded to, and the model."""
        content = json.dumps([self.model_dump(mode="json"), guidelines, model], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:24]


_SCENARIOS = TypeAdapter(tuple[Scenario, ...])


def read_scenarios(path: Path) -> tuple[tuple[Scenario, ...], dict[str, str]]:
    """
    The scenarios of a file, and those that do not fit: their ids, each with the reason.

    A `.json` file holds recorded scenarios (`services.operator.evaluation.recorded`), any other this module's own
    format: YAML, a list of `Scenario`.

    Raises:
        Fatal: the file cannot be read or holds no scenarios; the message names the place in it.

    """
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise Fatal(f"{path} is larger than {FILE_BYTES_MAX:,} bytes; divide it")
        text = path.read_text(encoding="utf-8")
        data, unfit = _data(text, path)
        scenarios = _SCENARIOS.validate_json(json.dumps(data))
    except (OSError, UnicodeDecodeError, PlaybookError, json.JSONDecodeError, RecursionError) as error:
        raise Fatal(f"{path} cannot be read as scenarios: {error}; see samples/scenarios for the format") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise Fatal(f"{path}: scenario {place}: {first['msg']} ({error.error_count()} in all); correct it") from None
    refused = {one.id: reason for one in scenarios if (reason := _refusal(one))}
    if refused and path.suffix != ".json":
        name, reason = next(iter(refused.items()))
        raise Fatal(f"{path}: scenario {name}: {reason}; correct it")
    scenarios = tuple(one for one in scenarios if one.id not in refused)
    unfit |= refused
    if len({scenario.id for scenario in scenarios}) < len(scenarios):
        raise Fatal(f"{path}: two scenarios have the same id; give each its own")
    return scenarios, unfit


def _refusal(scenario: Scenario) -> str:
    """Why nobody could publish the playbook of *scenario*; empty if it is accepted."""
    found = errors(check(scenario.playbook("scenario")))
    return f"`playbook check` refuses its playbook: {found[0].reason}" if found else ""


def _data(text: str, path: Path) -> tuple[object, dict[str, str]]:
    if path.suffix == ".json":
        return translated(json.loads(text))
    return read_source(text.encode(), str(path)).data, {}
