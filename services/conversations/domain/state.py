"""
The state of a conversation, and how it is written into the changelog.

The value is lines: the first one a JSON object of everything but the transcript, without what is at its default; each
further line one message of the transcript, its JSON as `turns.opened` carries it. Fields are only ever added, with a
default: an older release ignores what it does not know, a newer one does not miss what an older left out. A change
that breaks this raises `VERSION`.
"""

from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

from pydantic_core import from_json, to_json

from services.conversations.domain.calls import Call, Calls, Standing
from services.conversations.domain.transcript import EMPTY, NO_SEQUENCE, Entry, Transcript, transcript_of
from shared.events.conversation import Mode

VERSION = 1


class StateError(ValueError):
    """A conversation's state cannot be read, or is not to be written."""


class OpenTurn(NamedTuple):
    """
    A turn as the ledger keeps it. `accepted_ms` is when the oldest message that it covers came; `traceparent` is what
    its `turn.opened` carries. `lapsed` are the decisions of people that hold no longer. Times are unix milliseconds.
    """

    id: str
    epoch: int
    leg: int
    agent: str
    playbook_version: str
    opened_ms: int
    deadline_ms: int
    accepted_ms: int
    covers: tuple[str, ...]
    arm: str = ""
    traceparent: str = ""
    lapsed: tuple[dict[str, Any], ...] = ()


class Performed(NamedTuple):
    """How often (`times`) replies performed a guideline, and last in which epoch."""

    times: int
    epoch: int


@dataclass(eq=True)
class ConversationState:
    """
    What is true of a conversation.

    * `open` is the turn whose answer is awaited. While there is none, `waiting` are customer messages that no turn
      covers yet (the burst that began at `burst_ms` has not settled), and `carried` those whose turn was superseded
      before it was answered; `waiting_since_ms` is when the oldest of them came, `traceparent` the trace of the
      newest. `slot_ms` > 0: the turn for them may open then, by its tenant's budget.
    * `variables_ms` is when each variable was set by its event's own time, unix milliseconds.
    * `calls` are the tool calls kept in mind (calls.py).
    * `erased_at_ms` > 0: the conversation was erased; nothing but the epoch and the marker is left.
    * `retire_ms` is when the state is looked at for removal; it is moved on when it is due, not at each event.

    A value is not changed once it was handed out: each step works on a copy, and replaces collections instead of
    changing them.
    """

    agent: str = ""
    mode: Mode = Mode.AUTO
    epoch: int = 0
    open: OpenTurn | None = None
    waiting: tuple[str, ...] = ()
    carried: tuple[str, ...] = ()
    waiting_since_ms: int = 0
    burst_ms: int = 0
    settle_due_ms: int = 0
    slot_ms: int = 0
    traceparent: str = ""
    sequence: int = NO_SEQUENCE
    customer_name: str = ""
    variables: dict[str, str] = field(default_factory=dict)
    variables_ms: dict[str, int] = field(default_factory=dict)
    applied: dict[str, Performed] = field(default_factory=dict)
    journeys: dict[str, tuple[str, ...]] = field(default_factory=dict)
    seen: str = ""
    touched_ms: int = 0
    retire_ms: int = 0
    erased_at_ms: int = 0
    transcript: Transcript = EMPTY
    calls: Calls = ()

    def copy(self) -> "ConversationState":
        """A copy that may be changed."""
        # Ten times as fast as dataclasses.replace, which is a third of a step's whole budget.
        clone = object.__new__(ConversationState)
        clone.__dict__.update(self.__dict__)
        return clone

    @property
    def is_pending(self) -> bool:
        """Whether customer messages await a turn that is not open yet."""
        return bool(self.waiting or self.carried)

    @property
    def due_ms(self) -> int | None:
        """When the conversation wants to be woken."""
        dues = [self.retire_ms] if self.retire_ms else []
        if self.open is not None:
            dues.append(self.open.deadline_ms)
        elif self.is_pending:
            dues.append(self.settle_due_ms)
        if self.calls:
            dues += [call.due_ms for call in self.calls if call.standing == Standing.ASKED]
        return min(dues, default=None)


_MAPPINGS = ("variables", "variables_ms", "applied", "journeys")
_PLAIN = {
    f.name: f.default for f in fields(ConversationState) if f.name not in {"open", "transcript", "calls", *_MAPPINGS}
}


def encode(state: ConversationState) -> bytes:
    """*state* as it goes into the changelog."""
    values = state.__dict__
    head: dict[str, Any] = {"v": VERSION}
    for name, default in _PLAIN.items():
        if values[name] != default:
            head[name] = values[name]
    for name in _MAPPINGS:
        if values[name]:
            head[name] = values[name]
    if state.open is not None:
        head["open"] = state.open._asdict()
        if not state.open.lapsed:
            del head["open"]["lapsed"]
    if state.calls:
        head["calls"] = [call._asdict() for call in state.calls]
    entries = state.transcript.entries
    if entries:
        if state.sequence != NO_SEQUENCE:
            head["sequences"] = [entry.sequence for entry in entries]
        head["tokens"] = [entry.tokens for entry in entries]
        head["omitted"] = state.transcript.omitted
    return b"\n".join((to_json(head), *[entry.utterance for entry in entries]))


def decode(data: bytes) -> ConversationState:
    """
    The state that `encode` wrote, here or in an older release.

    Raises:
        StateError: *data* is no state, or of a newer release than this process can read.

    """
    first, *utterances = data.split(b"\n")
    try:
        head = from_json(first)
        if head["v"] > VERSION:
            raise StateError(
                f"a conversation's state was written in format {head['v']}; this release reads up to {VERSION}: "
                "run the release that wrote it, or a newer one"
            )
        values = {name: head.get(name, default) for name, default in _PLAIN.items()}
        return ConversationState(
            **values
            | {
                "mode": Mode(values["mode"]),
                "waiting": tuple(values["waiting"]),
                "carried": tuple(values["carried"]),
                "open": _open_turn(head.get("open")),
                "calls": tuple(_call(values) for values in head.get("calls", ())),
                "variables": head.get("variables", {}),
                "variables_ms": head.get("variables_ms", {}),
                "applied": {name: Performed(*pair) for name, pair in head.get("applied", {}).items()},
                "journeys": {name: tuple(path) for name, path in head.get("journeys", {}).items()},
                "transcript": _transcript(head, utterances),
            }
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        if isinstance(error, StateError):
            raise
        raise StateError(f"a conversation's state cannot be read: {type(error).__name__}: {error}") from None


def _transcript(head: dict[str, Any], utterances: list[bytes]) -> Transcript:
    sequences = head.get("sequences") or [NO_SEQUENCE] * len(utterances)
    entries = zip(sequences, head.get("tokens", ()), utterances, strict=True)
    return transcript_of(tuple([Entry(*entry) for entry in entries]), head.get("omitted", 0))


def _open_turn(values: dict[str, Any] | None) -> OpenTurn | None:
    if values is None:
        return None
    known = {name: value for name, value in values.items() if name in OpenTurn._fields}
    return OpenTurn(**known | {"covers": tuple(known["covers"]), "lapsed": tuple(known.get("lapsed", ()))})


def _call(values: dict[str, Any]) -> Call:
    return Call(**{name: value for name, value in values.items() if name in Call._fields})
