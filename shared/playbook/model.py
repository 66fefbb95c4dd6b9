"""
The playbook: one YAML file for each agent, as its authors write it.
"""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from shared.events.claims import ClaimKind, ReasoningMode
from shared.events.composition import Composition
from shared.playbook.knowledge import Retriever, Variable
from shared.playbook.part import NAMES_MAX, Identifier, Name, Part, Whole
from shared.playbook.references import PATTERN
from shared.playbook.tools import Tool

GUIDELINES_MAX = 20_000
PHRASES_MAX = 500
ReferenceText = Annotated[str, Field(max_length=80, pattern=PATTERN)]


class Criticality(StrEnum):
    """What ignoring a guideline costs: HIGH must be performed, LOW is a general principle."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class Profile(Part):
    """Who answers."""

    name: str = Field(min_length=1, max_length=80)
    description: str = Field("", max_length=2_000)
    tone: str = Field("", max_length=500)


class Guideline(Part):
    """
    When `condition` holds, do `action`; without an action it is an observation, which others may refer to.

    How it is asked about follows from what is declared here: an action that a reply performed is asked about again as
    such, unless it is `continuous` or not to be tracked; one of low criticality is a principle, asked about by its id
    alone.
    """

    id: str = Identifier
    condition: str = Field(min_length=1, max_length=16_384)
    action: str = Field("", max_length=16_384)
    description: str = Field("", max_length=2_000, description="what the condition and the action leave unsaid")
    criticality: Criticality = Criticality.MEDIUM
    enabled: bool = True
    pinned: bool = Field(default=False, description="always a candidate, whatever retrieval says")
    continuous: bool = Field(default=False, description="the action is never done with, such as a tone of voice")
    customer_dependent: bool = Field(
        default=False, description="the action is done with only when the customer has given their part"
    )
    agent_intention: bool = Field(
        default=False, description="the condition is about what the agent is going to do, not about the customer"
    )
    track: bool = Field(default=True, description="remember that a reply performed the action")
    priority: Whole = Field(0, description="of the guidelines that match, only those of the highest number stay")
    composition: Composition | None = None
    journey: Name | None = Field(None, description="it applies only while this journey is under way")
    tools: tuple[Name, ...] = Field((), max_length=NAMES_MAX, description="tools that may be called while it is active")
    reevaluate_after: tuple[Name, ...] = Field(
        (), max_length=NAMES_MAX, description="tools after whose result it is asked about again"
    )
    tags: tuple[Name, ...] = Field((), max_length=NAMES_MAX)
    labels: tuple[Name, ...] = Field(
        (), max_length=NAMES_MAX, description="copied to the record of a turn in which it is active"
    )


END = "end"
"""Where a transition leads that ends its journey."""


class StateKind(StrEnum):
    """
    What happens in a journey's state: something is said (chat), a tool is used (tool), or only the way divides (fork).
    """

    CHAT = "chat"
    TOOL = "tool"
    FORK = "fork"


class Transition(Part):
    """Where a state leads, once it is completed and `when` holds; without `when`, always."""

    to: Name = Field(description="a state's id, or `end`")
    when: str = Field("", max_length=2_000)


class State(Part):
    """A state of a journey; one that leads nowhere is its journey's last."""

    id: Name
    kind: StateKind = StateKind.CHAT
    action: str = Field("", max_length=4_096, description="what the agent does there")
    tool: Name | None = Field(None, description="what a state of kind `tool` uses")
    needs_customer: bool = Field(
        default=False, description="completed when the customer has answered, not when the agent has spoken"
    )
    next: tuple[Transition, ...] = Field((), max_length=NAMES_MAX)


class Journey(Part):
    """A way through a matter in several turns; it begins in its first state, when one of its conditions holds."""

    id: Name
    title: str = Field(min_length=1, max_length=200)
    description: str = Field("", max_length=2_000)
    conditions: tuple[Annotated[str, Field(min_length=1, max_length=2_000)], ...] = Field(min_length=1, max_length=100)
    states: tuple[State, ...] = Field(min_length=1, max_length=100)
    enabled: bool = True
    priority: Whole = 0
    tags: tuple[Name, ...] = Field((), max_length=NAMES_MAX)


class RelationshipKind(StrEnum):
    """
    How guidelines bear on each other once it is known which of them match.

    * entailment: the source matches, so the targets apply without being asked about.
    * priority: the source applies, so the targets do not.
    * dependency: the source applies only with every target; dependency_any: only with at least one of the targets.
    * disambiguation: the source is an observation that a request is unclear between the targets; the customer is asked.
    """

    ENTAILMENT = "entailment"
    PRIORITY = "priority"
    DEPENDENCY = "dependency"
    DEPENDENCY_ANY = "dependency_any"
    DISAMBIGUATION = "disambiguation"


class Relationship(Part):
    """
    A relationship between guidelines, tags and journeys.

    A name alone is a guideline's; `tag:x` is all guidelines with the tag, `any:x` any of them, `journey:x` a journey.
    """

    kind: RelationshipKind
    source: ReferenceText
    targets: tuple[ReferenceText, ...] = Field(min_length=1, max_length=GUIDELINES_MAX)


class Term(Part):
    """A word of the business and what it means."""

    term: str = Field(min_length=1, max_length=120)
    meaning: str = Field(min_length=1, max_length=2_000)
    synonyms: tuple[str, ...] = Field((), max_length=NAMES_MAX)


class Fact(Part):
    """Something that replies may assert."""

    id: str = Identifier
    text: str = Field(min_length=1, max_length=4_096)


class CannedReply(Part):
    """An approved text, with fields in double braces (shared/playbook/templates.py)."""

    id: str = Identifier
    text: str = Field(min_length=1, max_length=4_096)
    signals: tuple[str, ...] = Field((), max_length=20, description="what customers write when it is meant for them")
    guidelines: tuple[Name, ...] = Field(
        (), max_length=NAMES_MAX, description="it may be used only while one of these is active"
    )
    journey: Name | None = Field(None, description="it may be used only while this journey is under way")


class Fallbacks(Part):
    """What is said when no verified reply is to be had; an empty text says nothing."""

    failed: str = Field("I am sorry, I cannot answer that right now. Please try again in a moment.", max_length=1_000)
    expired: str = Field("I am sorry for the wait. Please send your question once more.", max_length=1_000)
    hand_off: str = Field("I am passing you to a colleague, who will take it from here.", max_length=1_000)
    too_large: str = Field(
        "I am sorry, that message is too long for me to read. Please send it in parts.", max_length=1_000
    )
    busy: str = Field(
        "I am sorry, there are many questions at the moment. Please try again in a few minutes.",
        max_length=1_000,
        description="where more questions come than the tenant's budget of turns allows",
    )
    no_match: str = Field(
        "I am sorry, I have no answer to that here. Could you put it differently?",
        max_length=1_000,
        description="where only approved texts may be sent and none fits",
    )
    approval_requested: str = Field(
        "I have asked a colleague to confirm this. You will hear from me as soon as it is decided.", max_length=1_000
    )


class Phrases(Part):
    """Wording that every reply must avoid or contain, compared without regard to case and spacing."""

    forbidden: tuple[str, ...] = Field((), max_length=PHRASES_MAX)
    required: tuple[str, ...] = Field((), max_length=PHRASES_MAX)


class Variant(StrEnum):
    """
    How claims that code cannot settle are checked, after Chain-of-Verification (arXiv 2309.11495), but from facts.

    * off: not at all; only what code refuses is kept back.
    * joint: one call that sees the draft; the weakest, for comparison.
    * two_step: one call for all questions, blind to the draft; risky claims and many questions as in factored.
    * factored: one call a question.
    * factor_revise: factored, and one cross-check call a claim.
    """

    OFF = "off"
    JOINT = "joint"
    TWO_STEP = "two_step"
    FACTORED = "factored"
    FACTOR_REVISE = "factor_revise"


class VerificationPolicy(Part):
    """How replies are checked before they leave."""

    variant: Variant = Variant.TWO_STEP
    risky_kinds: tuple[ClaimKind, ...] = Field(
        (ClaimKind.ACTION,), description="kinds of claims that are asked about one call each"
    )
    votes: bool = Field(default=False, description="ask about each risky claim until one verdict is ahead by two")
    corrects: bool = Field(default=True, description="mend failed claims; otherwise only record them")
    rounds_max: int = Field(2, ge=0, le=5)
    calibration_share: float = Field(
        0.05, ge=0, le=1, description="share of skippable drafts that are checked all the same"
    )
    when_failed: Literal["fallback", "hand_off"] = "fallback"
    record_claim_texts: bool = False


class MatchingPolicy(Part):
    """What is done about guidelines of which the model could not say whether they apply."""

    unknown_applies: tuple[Criticality, ...] = Field(
        (Criticality.HIGH,), description="criticalities of which an unknown guideline is treated as applying"
    )


class Limits(Part):
    """Sizes and times of this agent's conversations."""

    settle_seconds: float = Field(0.0, ge=0, le=30, description="wait after a message for more of the same burst")
    deadline_seconds: float = Field(60.0, gt=0, le=3_600, description="from a turn's opening to its fallback")
    window_messages: int = Field(40, ge=1, le=500)
    window_tokens: int = Field(3_000, ge=100, le=100_000, description="of the transcript window, characters/4")
    message_bytes: int = Field(16_384, ge=1, le=65_536, description="of one customer message, UTF-8")
    reply_chars: int = Field(2_000, ge=1, le=20_000)


class Experiment(Part):
    """Arms between which conversations are divided by hash, in proportion to their weights."""

    name: str = Identifier
    arms: dict[str, "Arm"] = Field(min_length=1, max_length=64)


class Arm(Part):
    """What one arm of an experiment does differently."""

    weight: float = Field(1.0, gt=0)
    mode: ReasoningMode | None = None
    corrects: bool | None = None
    variant: Variant | None = None


class Playbook(Part):
    """All that an agent of a tenant is told."""

    agent: str = Identifier
    profile: Profile
    mode: ReasoningMode = ReasoningMode.ARQ
    composition: Composition = Composition.FLUID
    guidelines: tuple[Guideline, ...] = Field((), max_length=GUIDELINES_MAX)
    journeys: tuple[Journey, ...] = Field((), max_length=1_000)
    relationships: tuple[Relationship, ...] = Field((), max_length=GUIDELINES_MAX)
    tools: tuple[Tool, ...] = Field((), max_length=200)
    glossary: tuple[Term, ...] = Field((), max_length=10_000)
    facts: tuple[Fact, ...] = Field((), max_length=20_000)
    variables: tuple[Variable, ...] = Field((), max_length=200)
    retrievers: tuple[Retriever, ...] = Field((), max_length=16)
    canned_replies: tuple[CannedReply, ...] = Field((), max_length=2_000)
    acknowledgement: str = Field(
        "", max_length=500, description="said at once when a turn opens, before its reply; empty says nothing"
    )
    fallbacks: Fallbacks = Fallbacks()
    phrases: Phrases = Phrases()
    matching: MatchingPolicy = MatchingPolicy()
    verification: VerificationPolicy = VerificationPolicy()
    limits: Limits = Limits()
    experiment: Experiment | None = None
