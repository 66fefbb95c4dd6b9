"""
Tool calls on the wire: what a model decided to call, the ledger's leave, what came of it.

A call that only reads runs in the reasoner and leaves its result in the draft's facts. A consequential one ends the
turn's leg: the reasoner returns it on `turns.finished` (`paused`), the ledger grants it, at once or after
`approval.given`, and opens the next leg with the grant; the reasoner executes under the call's id, which is the
idempotency key, and returns the result (`paused` again), which the leg after that carries.

An endpoint that does not recognise a repeated call must not be called twice. There the reasoner first claims the grant
with a word that only its process knows; the next leg names the claimant that the ledger accepted, and a process that
does not know the word returns the outcome as `unknown` instead of calling.
"""

from pydantic import Field

from shared.events.base import Body, Identifier, Instant, OpenEnum
from shared.events.values import BoundedJson, BoundedObject


class ToolCall(Body):
    """A decided call; `id` is derived from the turn, the tool and the arguments, so that a repetition has the same."""

    id: Identifier
    tool: str
    arguments: BoundedObject = Field(default_factory=dict)


class Grant(Body):
    """The ledger's leave to execute a call, once; `claimant` is the process that it is reserved for, if any."""

    call: ToolCall
    claimant: str = ""


class Claim(Body):
    """A process asks that the grant of a call be reserved for it."""

    call_id: str
    claimant: str


class ToolStatus(OpenEnum):
    """
    What came of a call.

    * done: executed; `data` is the answer.
    * failed: the tool said no or could not be reached, and nothing was changed.
    * unknown: whether it was executed cannot be told; it is not repeated.
    * refused: a person did not allow it. expired: nobody decided in time.
    """

    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"
    REFUSED = "refused"
    EXPIRED = "expired"
    OTHER = "other"


class ToolGuideline(Body):
    """A guideline that a result brings along, for this turn only."""

    condition: str = ""
    action: str


class ToolResult(Body):
    """What a call came to; `data` may be shown to a model and cited, `metadata` is for the record alone."""

    call: ToolCall
    status: ToolStatus
    data: BoundedJson = None
    metadata: BoundedObject = Field(default_factory=dict)
    fields: dict[str, str] = Field(default_factory=dict, description="values for the templates of approved texts")
    guidelines: tuple[ToolGuideline, ...] = ()
    mode: str = Field("", description="the mode that the conversation is to go on in, if the tool says so")
    error: str = Field("", description="why it is not `done`, in words for the record")
    at: Instant


class ParameterProblem(Body):
    """A value that a candidate tool needs and that is missing or does not fit; the reply asks for it."""

    tool: str
    parameter: str
    problem: str = Field(description="`missing` or `invalid`")
    value: str = Field("", description="what was given, where it does not fit")
