"""
What travels between the stages of one turn, and the record that it leaves.

`turns.opened` carries everything that the stages may know of the conversation; each stage adds its part and hands on.
"""

from enum import StrEnum

from pydantic import Field

from shared.events.base import Body, Identifier, Instant, OpenEnum
from shared.events.claims import ClaimKind, Correction, Judge, ReasoningMode, Verdict
from shared.events.composition import Composition, FilledField
from shared.events.conversation import Author, Decision, Mode
from shared.events.tools import Claim, Grant, ParameterProblem, ToolCall, ToolResult


class Turn(Body):
    """
    The identity of a turn, the same in every record about it.

    `epoch` counts the turns of a conversation; only the newest is open. `leg` counts the passes through the stages (a
    consequential tool call ends a leg).
    """

    id: Identifier
    """the correlation id of every record about the turn"""
    tenant: str
    conversation: str
    epoch: int
    leg: int = 1
    agent: str
    """whose playbook applies"""
    playbook_version: str
    """which all stages use"""
    opened_at: Instant
    """when its first leg opened"""
    deadline: Instant
    """when it ends as `expired`"""
    arm: str = ""
    """the experiment's arm; empty outside an experiment"""


class Utterance(Body):
    """A message of the transcript window; `id` is the event's id, or the turn's for a reply of the assistant."""

    id: Identifier
    author: Author
    text: str
    at: Instant


class Applied(Body):
    """That a reply performed a guideline: how often, and last in which epoch."""

    count: int
    epoch: int


class JourneyPosition(Body):
    """Where a conversation stands in a journey: the states passed, oldest first, the last one current."""

    path: tuple[str, ...]


class Mark(Body):
    """When a stage took a turn up and handed it on, unix milliseconds; the difference of neighbours is queueing."""

    stage: str
    received_ms: int
    finished_ms: int


class Spent(Body):
    """What a stage's model calls cost."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    model: str = ""


class MatchVerdict(OpenEnum):
    """Whether a guideline applies now; `unknown` where the model could not say."""

    APPLIES = "applies"
    NOT_NOW = "not_now"
    UNKNOWN = "unknown"
    OTHER = "other"


class Match(Body):
    """The matcher's judgement of one candidate, evidence before verdict."""

    guideline_id: str
    evidence: str = ""
    verdict: MatchVerdict


class Resolution(Body):
    """Why a guideline stayed or went after relationships were resolved."""

    guideline_id: str
    active: bool
    reason: str


class Instruction(Body):
    """
    A guideline of this turn only: the step of a journey that is due, or the question that settles an ambiguity. Its
    id has a dot, which no id in a playbook has.
    """

    id: str
    condition: str
    action: str
    tool: str = ""


class Matching(Body):
    """The matcher's part of a turn's record."""

    active: tuple[str, ...] = Field(description="ids of the guidelines that apply, most important first")
    matches: tuple[Match, ...] = ()
    resolutions: tuple[Resolution, ...] = ()
    instructions: tuple[Instruction, ...] = Field(
        (), description="what `active` names beside the playbook's guidelines"
    )
    journeys: dict[str, JourneyPosition] | None = Field(
        None, description="the positions after this turn, if its reply is sent; where they change"
    )
    candidates: int = Field(0, description="guidelines that were asked about")
    spent: Spent = Spent()


class TurnOpened(Body):
    """`turn.opened`: customer messages wait for an answer."""

    turn: Turn
    covers: tuple[str, ...] = Field(description="ids of the `message.posted` events that this turn answers")
    transcript: tuple[Utterance, ...] = Field(
        description="the newest messages, oldest first, within the playbook's window"
    )
    omitted: int = Field(0, description="messages of the conversation that lie before the window")
    applied: dict[str, Applied] = Field(default_factory=dict)
    journeys: dict[str, JourneyPosition] = Field(default_factory=dict)
    variables: dict[str, str] = Field(default_factory=dict)
    variables_set_at: dict[str, Instant] = Field(default_factory=dict)
    customer_name: str = ""
    grants: tuple[Grant, ...] = Field((), description="calls that the ledger allows this leg to execute")
    results: tuple[ToolResult, ...] = Field(
        (), description="what calls came to in the turn's former legs, or in former turns whose reply was never sent"
    )
    fresh: tuple[str, ...] = Field((), description="ids of the calls among `results` that no former leg has carried")
    matching: Matching | None = Field(None, description="the matcher's judgement in the turn's former leg")
    marks: tuple[Mark, ...] = ()


class TurnMatched(Body):
    """`turn.matched`: which guidelines apply."""

    opened: TurnOpened
    matching: Matching
    marks: tuple[Mark, ...] = ()


class SegmentKind(OpenEnum):
    """What a part of a reply does."""

    CLAIM = "claim"
    ACTION = "action"
    QUESTION = "question"
    SOCIAL = "social"
    OTHER = "other"


class Segment(Body):
    """
    A part of a reply: the reply is its segments' texts joined by spaces.

    A claim or action cites the facts that it rests on; `value` is the number, date, id or name that it states, if any;
    `open_question` asks for what the segment states without naming it.
    """

    kind: SegmentKind
    text: str
    claim_kind: ClaimKind = ClaimKind.FACT
    fact_ids: tuple[str, ...] = ()
    value: str = ""
    open_question: str = ""
    guideline_ids: tuple[str, ...] = Field((), description="guidelines that it performs, as the draft says")
    canned_id: str = Field("", description="the approved text that it is, filled with `fields`")
    fields: tuple[FilledField, ...] = ()


class FactRecord(Body):
    """
    Something that a reply may assert, with where it comes from (`playbook`, `variable`, `canned`, `tool:<name>`,
    `retriever:<name>`); of a retrieved document, `origin` is its own source.
    """

    id: str
    text: str
    source: str
    origin: str = ""
    fetched_at: Instant | None = None


class Restated(Body):
    """A guideline's text as the model repeated it."""

    guideline_id: str
    text: str


class Draft(Body):
    """The reasoner's part of a turn's record."""

    mode: ReasoningMode
    composition: Composition = Composition.FLUID
    segments: tuple[Segment, ...]
    facts: tuple[FactRecord, ...] = Field(description="everything that the reply was allowed to assert")
    restated: tuple[Restated, ...] = ()
    insights: tuple[str, ...] = ()
    results: tuple[ToolResult, ...] = Field((), description="of the tools that were called for it")
    problems: tuple[ParameterProblem, ...] = Field((), description="what candidate tools lacked")
    spent: Spent = Spent()

    @property
    def text(self) -> str:
        """The reply: the segments joined."""
        return " ".join(segment.text.strip() for segment in self.segments if segment.text.strip())


class TurnDrafted(Body):
    """`turn.drafted`: a reply that nobody has checked."""

    opened: TurnOpened
    matching: Matching
    draft: Draft
    marks: tuple[Mark, ...] = ()


class ClaimVerdict(Body):
    """One claim of a draft, judged: `position` is 1-based among the draft's claims."""

    position: int
    kind: ClaimKind
    text: str
    draft_verdict: Verdict
    final_verdict: Verdict
    correction: Correction = Correction.NONE
    judge: Judge
    reason: str = ""


class GuidelineVerdict(OpenEnum):
    """Whether a reply did what an active guideline asks."""

    PERFORMED = "performed"
    PARTLY = "partly"
    NOT_PERFORMED = "not_performed"
    NOT_APPLICABLE = "not_applicable"
    UNJUDGED = "unjudged"
    OTHER = "other"


class Adherence(Body):
    """
    The judgement of one guideline, evidence before verdict. `judge` says whose it is: `draft` is the draft's own word,
    which nobody looked at.
    """

    guideline_id: str
    evidence: str = ""
    verdict: GuidelineVerdict
    judge: Judge = Judge.NOBODY


class Verification(Body):
    """The verifier's part of a turn's record."""

    passed: bool
    verified_by: Judge
    claims: tuple[ClaimVerdict, ...] = ()
    adherence: tuple[Adherence, ...] = ()
    complaints: tuple[str, ...] = Field((), description="what the code gate found, as `rule: what`")
    rounds: int = 0
    corrects: bool = True
    draft_sha256: str = ""
    spent: Spent = Spent()


class FinishResult(OpenEnum):
    """How the stages left a turn."""

    VERIFIED = "verified"
    SILENT = "silent"
    FAILED = "failed"
    HAND_OFF = "hand_off"
    PAUSED = "paused"
    OTHER = "other"


class TurnFinished(Body):
    """
    `turn.finished`: a stage before the verifier is done with a turn: nothing is to be said, something failed, or calls
    are needed. The first result for the open turn's leg counts; it closes the turn, or, where it is `paused`, its leg.

    `text` is the verified reply (of `turn.verified`); `fallback` names the playbook's text to send instead (`failed`,
    `hand_off`); `reason` is a bounded word. A pause asks the ledger's leave for `calls`, reserves grants (`claims`), or
    hands in `results`.
    """

    turn: Turn
    stage: str
    result: FinishResult
    text: str = ""
    text_sha256: str = ""
    fallback: str = ""
    reason: str = ""
    matching: Matching | None = None
    draft: Draft | None = None
    verification: Verification | None = None
    journeys: dict[str, JourneyPosition] | None = Field(None, description="new positions, where they changed")
    calls: tuple[ToolCall, ...] = ()
    claims: tuple[Claim, ...] = ()
    results: tuple[ToolResult, ...] = ()
    marks: tuple[Mark, ...] = ()


class Outcome(OpenEnum):
    """How a turn ended."""

    ANSWERED = "answered"
    NO_REPLY = "no_reply"
    SUPERSEDED = "superseded"
    HANDED_OFF = "handed_off"
    EXPIRED = "expired"
    REJECTED = "rejected"
    OTHER = "other"


class TurnClosed(Body):
    """`turn.closed`: exactly one for each turn, with the record of every decision."""

    turn: Turn
    outcome: Outcome
    """how it ended"""
    reason: str = ""
    """more exactly, in a bounded word"""
    covers: tuple[str, ...]
    """ids of the `message.posted` events that it is about"""
    mode: Mode = Mode.AUTO
    """of the conversation at the end"""
    response_sha256: str = ""
    """of the text that was sent, if any"""
    fallback: str = ""
    """the fallback that was sent, by its name in the playbook"""
    outstanding: tuple[str, ...] = ()
    """ids of tool calls that were allowed, may have been executed, and have no result yet"""
    results: tuple[ToolResult, ...] = ()
    """of a turn that was handed off, what the calls had come to that people are to know of"""
    decisions: tuple[Decision, ...] = ()
    """what people decided about its calls: who, and why"""
    closed_at: Instant
    """when it ended"""
    matching: Matching | None = None
    """which guidelines applied and why"""
    draft: Draft | None = None
    """what was drafted, on which facts"""
    verification: Verification | None = None
    """what checking found and mended"""
    marks: tuple[Mark, ...] = ()
    """when each stage took it up and handed it on"""


class ClosedBy(StrEnum):
    """Reasons that the ledger itself closes a turn for; stages add their own bounded words."""

    NEWER_MESSAGE = "newer_message"
    DEADLINE = "deadline"
    HUMAN_TOOK_OVER = "human_took_over"
    CONVERSATION_CLOSED = "conversation_closed"
    ERASED = "erased"
    MANUAL_MODE = "manual_mode"
    TOO_LARGE = "too_large"
    UNKNOWN_AGENT = "unknown_agent"
    OVER_BUDGET = "over_budget"
    EVENT_EXPIRED = "event_expired"
    ID_CONFLICT = "id_conflict"
    APPROVAL_REQUESTED = "approval_requested"
    TOOL_OUTCOME_UNKNOWN = "tool_outcome_unknown"
    TOO_MANY_LEGS = "too_many_legs"
    TOO_MANY_CALLS = "too_many_calls"
    REFUSED_CALL = "refused_call"
