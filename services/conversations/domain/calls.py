"""
The calls of tools that a conversation keeps in mind: what was asked for, allowed, and came of it.

    asked ──approval.given──> granted ──result──> settled ──told──> forgotten
      └──refused, expired──────────────────────────^

(An approval whose tool is declared anew before a leg has carried it lapses, binding.py: the call is forgotten at once.)

* asked: a person has to allow it; until then no stage knows of it.
* granted: the leave was given. From the moment that a leg has *carried* it, it may have been executed, so that it is
  only forgotten by its result: it goes into every leg, of this turn and of the turns after it, until there is one.
  Where nobody reports for `grant_seconds`, the outcome is unknown, and the next turn is handed off: that is told then.
* settled: its result is known (done, failed, refused, expired), and goes into every leg until a reply that was
  verified, the decision to stay silent, or a hand-off has had it before it. A reply that was not sent, for whatever
  reason, told nobody. A result that is told stays while another call about the same message is under way: the turn
  that tells what became of that one answers the message once more, and is not to do again what was, or may have been,
  done.

The result of a call that only reads is kept the same way, as settled, but ends with its turn: it can be read again.

What no leg has carried yet in its present form is *owed*: a decision on an approval, a result that came when its turn
was over. The open turn's next leg takes it along, or the turn after it; where none is to come, one is opened.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from pydantic_core import to_json

from services.conversations.domain.instants import at
from shared.events.tools import ToolStatus

DECISION_BYTES_RESERVED = 1_024
"""Kept free for each call that a person is asked about, for who decides and why."""
RESULT_BYTES_RESERVED = 1_024
"""Kept free for each call without a result, so that it can be recorded that there is one, if not what it says."""
ERROR_CHARS_MAX = 300
_LEFT_OUT = "the result is left out: it would take {} bytes, and the conversation's calls are kept within {}"


class Standing(StrEnum):
    """How far a call is."""

    ASKED = "asked"
    GRANTED = "granted"
    SETTLED = "settled"


class Call(NamedTuple):
    """
    A call as the ledger keeps it.

    `turn` asked for it, under the playbook `version`; `about` is the newest message that it answered. `since_ms` is
    when it came to its standing, `due_ms` until when it can be allowed (unix milliseconds). `result` is that of
    `ToolResult` without the call. `digest` is what a person was asked about (binding.py), `decision` who decided and
    why: a `Decision` without the tool.
    """

    id: str
    tool: str
    arguments: dict[str, Any]
    agent: str
    version: str
    turn: str
    about: str
    standing: str
    since_ms: int
    due_ms: int = 0
    claimant: str = ""
    carried: bool = False
    reads: bool = False
    result: dict[str, Any] | None = None
    told: bool = False
    digest: str = ""
    decision: dict[str, Any] | None = None

    @property
    def is_owed(self) -> bool:
        """Whether a leg has still to carry it."""
        return not self.carried and self.standing != Standing.ASKED

    @property
    def is_outstanding(self) -> bool:
        """Whether it may have been executed and nobody has said so."""
        return self.carried and self.standing == Standing.GRANTED

    def is_same(self, agent: str, tool: str, arguments: dict[str, Any]) -> bool:
        """Whether it does what a call of *tool* with *arguments* would do."""
        return not self.reads and (self.agent, self.tool, self.arguments) == (agent, tool, arguments)

    def concerns(self, covers: Iterable[str]) -> bool:
        """Whether a turn about the messages *covers* has to know of it; what was told is of its own message alone."""
        return not self.told or self.about in covers

    def settled(self, result: dict[str, Any], now_ms: int) -> "Call":
        """The call with its *result*, which no leg has carried yet."""
        return self._replace(standing=Standing.SETTLED, since_ms=now_ms, result=result, carried=False)


Calls = tuple[Call, ...]


def result_without_data(status: ToolStatus, error: str, now_ms: int) -> dict[str, Any]:
    """A result that no tool reported; *error* says why."""
    return {
        "status": str(status),
        "data": None,
        "metadata": {},
        "fields": {},
        "guidelines": [],
        "mode": "",
        "error": error,
        "at": at(now_ms).isoformat(),
    }


def size_bytes(calls: Calls) -> int:
    """About how many bytes *calls* take in the state, now or when the last of them has a result, however short."""
    unsettled = sum(1 for call in calls if call.result is None)
    undecided = sum(1 for call in calls if call.standing == Standing.ASKED)
    return len(to_json(calls)) + RESULT_BYTES_RESERVED * unsettled + DECISION_BYTES_RESERVED * undecided


def with_call(calls: Calls, new: Call, bytes_max: int) -> Calls:
    """*calls* with *new* in the place of the one with its id; a result that does not fit is left out, but for how."""
    known = any(call.id == new.id for call in calls)
    grown = tuple(new if call.id == new.id else call for call in calls) if known else (*calls, new)
    if new.result is None:
        return grown
    needed_bytes = size_bytes(grown)
    if needed_bytes <= bytes_max:
        return grown
    kept = {name: new.result[name] for name in ("status", "mode", "at")}
    bare = new._replace(result=kept | {"error": _LEFT_OUT.format(needed_bytes, bytes_max)})
    return tuple(bare if call.id == new.id else call for call in grown)


def with_room(calls: Calls, *, turn: str, count: int) -> Calls:
    """*calls* without the oldest results of turns before *turn* as far as more than *count* are kept otherwise."""
    surplus = len(calls) - count
    if surplus <= 0:
        return calls
    old = [call.id for call in calls if call.standing == Standing.SETTLED and call.carried and call.turn != turn]
    dropped = set(old[:surplus])
    return tuple(call for call in calls if call.id not in dropped)


def carried(calls: Calls, agent: str, but: Collection[str] = ()) -> Calls:
    """*calls* once a leg of *agent* has carried them, *but* for those with these ids."""
    return tuple(
        call._replace(carried=True) if call.agent == agent and call.is_owed and call.id not in but else call
        for call in calls
    )


def results_carried(calls: Calls, agent: str) -> Calls:
    """*calls* once the results of *agent* need no turn of their own; what was allowed is still owed."""
    return tuple(
        call._replace(carried=True) if call.agent == agent and call.standing == Standing.SETTLED else call
        for call in calls
    )


def of_leg(calls: Iterable[Call], agent: str, covers: Iterable[str]) -> Calls:
    """Those that a leg of *agent* about the messages *covers* carries."""
    return tuple(
        call for call in calls if call.agent == agent and call.standing != Standing.ASKED and call.concerns(covers)
    )


def told(calls: Iterable[Call], agent: str, covers: Iterable[str]) -> Calls:
    """
    *calls* once the customer, or whoever took over, has had before them what a leg of *agent* about the messages
    *covers* carried.
    """
    marked = [
        call._replace(told=True)
        if call.agent == agent and call.carried and call.standing == Standing.SETTLED and call.concerns(covers)
        else call
        for call in calls
    ]
    return _needed(marked)


def given_up(calls: Iterable[Call], results: Mapping[str, dict[str, Any]], now_ms: int) -> Calls:
    """*calls* once people are handed those of which nobody can tell what they did, with their *results* by id."""
    return _needed(
        [
            call.settled(results[call.id], now_ms)._replace(carried=True, told=True) if call.id in results else call
            for call in calls
        ]
    )


def _needed(calls: Sequence[Call]) -> Calls:
    under_way = {call.about for call in calls if not call.told}
    return tuple(call for call in calls if not call.told or (call.about in under_way and not call.reads))


def settled(calls: Iterable[Call], agent: str) -> Calls:
    """Those of *agent* with a result that nobody was told, which changed something or were to."""
    mine = (call for call in calls if call.agent == agent and call.standing == Standing.SETTLED)
    return tuple(call for call in mine if not call.reads and not call.told)


def outstanding(calls: Iterable[Call]) -> tuple[str, ...]:
    """The ids of those that may have been executed and have no result."""
    return tuple(call.id for call in calls if call.is_outstanding)


def lapsed(calls: Iterable[Call], now_ms: int, grant_seconds: float) -> tuple[str, ...]:
    """The ids of those that are outstanding for so long that their outcome is taken for unknown."""
    since_ms = now_ms - round(grant_seconds * 1000)
    return tuple(call.id for call in calls if call.is_outstanding and call.since_ms <= since_ms)


def without_mode(calls: Calls, agent: str) -> tuple[bool, Calls]:
    """
    Whether a result that *agent* had before it asks for manual mode, and *calls* without the asking. (While a turn is
    open the mode is `auto`, so that asking for that changes nothing.)
    """
    manual, left = False, []
    for call in calls:
        heard = call.result is not None and call.agent == agent and call.carried
        manual = manual or (heard and asks_manual((call.result or {})["mode"]))
        left.append(call._replace(result={**(call.result or {}), "mode": ""}) if heard else call)
    return manual, tuple(left)


def asks_manual(mode: str) -> bool:
    """Whether a result's *mode* asks that people take over."""
    return mode == "manual"
