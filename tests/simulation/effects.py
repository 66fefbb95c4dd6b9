"""
What must hold of tool calls, judged by whoever sees the endpoints, the log and nothing of the services' memory.

* I13: an effect happens at most once, by the call's id, and by tool and arguments for the same messages; an endpoint
  that does not recognise a repetition is never asked twice.
* I14: nothing that changes something is asked for before the ledger granted it in a committed leg, to the process that
  reserved the grant where one must, after a person's leave where one is needed; a result ends its grant for good.
* I15: what happened is told: a result, or that nobody knows, reaches a turn's record, a hand-off, or is still kept;
  and each approval that was asked for comes to something.
* I16: a call has one id and one result, the first that was reported; the legs of a turn are bounded.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from pydantic_core import from_json

from shared.events import topics
from shared.events.envelope import derived_id
from shared.events.tools import ToolStatus
from shared.stage.base import Record
from tests.simulation.loop import WORLD
from tests.simulation.playbooks import APPROVED, READS


@dataclass(frozen=True, slots=True)
class Request:
    """What an endpoint is asked: `key` is the idempotency key, empty where the endpoint honours none."""

    tenant: str
    tool: str
    arguments: str
    call_id: str
    key: str

    def __str__(self) -> str:
        return f"{self.tenant} {self.tool} {self.call_id[:8]} {self.arguments}"


@dataclass(frozen=True, slots=True)
class _Asked:
    """A call as it was first asked for, in which turn of which conversation."""

    conversation: bytes
    turn: str
    tool: str
    arguments: str


@dataclass(slots=True)
class _Approval:
    """An approval that was asked for; `decisions` in the order of the log, each with whether it is a leave and when."""

    conversation: bytes
    turn: str
    expires: float
    decisions: list[tuple[bool, float]]


class Effects:
    """*blame* notes a broken invariant; *clock* tells unix seconds, *skew_seconds* how far clocks lie apart."""

    def __init__(
        self, blame: Callable[[str, str], None], clock: Callable[[], float], skew_seconds: float, legs_max: int
    ) -> None:
        self.happenings: defaultdict[str, list[Request]] = defaultdict(list)
        self.approvals: dict[str, _Approval] = {}
        self._blame = blame
        self._clock = clock
        self._skew_seconds = skew_seconds
        self._legs_max = legs_max
        self._requests: defaultdict[str, list[tuple[Request, str]]] = defaultdict(list)
        self._asked: dict[str, _Asked] = {}
        self._ids: dict[_Asked, str] = {}
        self._covers: dict[str, frozenset[str]] = {}
        self._granted: defaultdict[str, set[str]] = defaultdict(set)
        self._words: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
        self._reports: dict[str, float] = {}
        self._results: dict[str, str] = {}
        self._recorded: set[str] = set()
        self._decided: set[str] = set()
        self._carried: set[str] = set()
        self._erased: set[bytes] = set()
        self._handed_off: list[tuple[bytes, int, frozenset[str]]] = []
        self._epochs: dict[str, int] = {}

    # -- what the endpoints see --------------------------------------------------------------------------------------

    def requested(self, request: Request, process: str) -> None:
        """*process* sends *request*."""
        name = request.call_id
        if request.tool in READS:
            return
        words = self._granted[name]
        if not words:
            self._blame("I14", f"{process} asks for {request} without a grant")
        elif not request.key and not words & self._words[process, name]:
            self._blame("I14", f"{process} asks for {request}, whose grant is not reserved for it")
        if not request.key and any(not former.key for former, _ in self._requests[name]):
            self._blame("I13", f"{request} is asked for twice of an endpoint that cannot tell")
        self._requests[name].append((request, process))

    def happened(self, request: Request) -> None:
        """*request* has taken effect."""
        mine = self._asked.get(request.call_id)
        for name, them in self.happenings.items():
            other = self._asked.get(name)
            if name == request.call_id:
                self._blame("I13", f"{request} takes effect for the {len(them) + 1}th time")
            elif mine and other and self._is_same_wish(mine, other):
                self._blame("I13", f"{request} does what {name} did already for the same messages")
        self.happenings[request.call_id].append(request)

    # -- what the log says -------------------------------------------------------------------------------------------

    def appended(self, record: Record, process: str) -> None:
        """*record* is in the log, written by *process*."""
        if record.topic in topics.RECEIVED_FROM_TENANTS:
            self._note_event(record)
        elif process == WORLD or record.value is None:
            return
        elif record.topic == topics.TURNS_OPENED:
            self._note_leg(from_json(record.value))
        elif record.topic == topics.TURNS_FINISHED:
            self._note_report(record, from_json(record.value), process)
        elif record.topic == topics.TURNS_CLOSED:
            self._note_end(record, from_json(record.value))
        elif record.topic == topics.CONVERSATION_RESPONSES and _kind(record) == b"approval.requested":
            self._note_request(record, from_json(record.value))

    def _note_event(self, record: Record) -> None:
        kind = _kind(record)
        if kind == b"conversation.erased" and record.key is not None:
            self._erased.add(record.key)
        if kind == b"approval.given" and record.value is not None and _is_of_an_approver(record):
            body = from_json(record.value)
            if (approval := self.approvals.get(body["approval_id"])) is not None:
                approval.decisions.append((body["granted"], self._clock()))

    def _note_request(self, record: Record, body: Mapping[str, Any]) -> None:
        name = body["approval_id"]
        if name in self.approvals:
            self._blame("I16", f"approval of {name} is asked for twice")
        expires = _seconds(body["expires_at"])
        self.approvals[name] = _Approval(record.key or b"", body["turn_id"], expires, [])

    def _note_leg(self, body: Mapping[str, Any]) -> None:
        turn = body["turn"]
        self._covers[turn["id"]] = frozenset(body["covers"])
        self._epochs[turn["id"]] = turn["epoch"]
        if turn.get("leg", 1) > self._legs_max:
            self._blame("I16", f"turn {turn['id']} is in leg {turn['leg']}")
        for grant in body.get("grants", ()):
            self._note_grant(grant["call"], grant["claimant"])
        for result in body.get("results", ()):
            self._note_result(result)
            self._carried.add(result["call"]["id"])

    def _note_grant(self, call: Mapping[str, Any], claimant: str) -> None:
        name = call["id"]
        self._granted[name].add(claimant)
        self._carried.add(name)
        if name in self._results:
            self._blame("I14", f"{name} is granted though its result is known")
        if call["tool"] in APPROVED:
            self._check_leave(name)

    def _check_leave(self, name: str) -> None:
        approval = self.approvals.get(name)
        granted, at = approval.decisions[0] if approval and approval.decisions else (False, 0.0)
        if approval is None or not granted or at > approval.expires + self._skew_seconds:
            self._blame("I14", f"{name} needs a person's leave and is granted without")

    def _note_result(self, result: Mapping[str, Any]) -> None:
        name = result["call"]["id"]
        at = _seconds(result["at"])
        shown = json.dumps([result["status"], result.get("data"), at])
        if self._results.setdefault(name, shown) != shown:
            self._blame("I16", f"the result of {name} is another one than before")
        # That nobody can tell what a call did may be the ledger's own word, when nobody reported in time.
        if name in self._reports and self._reports[name] != at and result["status"] != ToolStatus.UNKNOWN:
            self._blame("I16", f"the result of {name} is not the first that was reported")

    def _note_report(self, record: Record, body: Mapping[str, Any], process: str) -> None:
        turn = body["turn"]["id"]
        for call in body.get("calls", ()):
            asked = _Asked(record.key or b"", turn, call["tool"], json.dumps(call["arguments"], sort_keys=True))
            # By the formula, too: that a repeated inference shows two ids of a call comes once in hundreds of seeds.
            exact = json.dumps(call["arguments"], sort_keys=True, ensure_ascii=False, separators=(",", ":"))
            if call["id"] != derived_id("tool", turn, call["tool"], exact):
                self._blame("I16", f"{call['id']} does not follow from its turn, tool and arguments")
            if self._ids.setdefault(asked, call["id"]) != call["id"]:
                self._blame("I16", f"{asked.tool} {asked.arguments} of turn {turn} has two ids")
            if self._asked.setdefault(call["id"], asked) != asked:
                self._blame("I16", f"{call['id']} names two calls")
        for claim in body.get("claims", ()):
            self._words[process, claim["call_id"]].add(claim["claimant"])
        for result in body.get("results", ()):
            if result["call"]["id"] in self._granted:
                self._reports.setdefault(result["call"]["id"], _seconds(result["at"]))

    def _note_end(self, record: Record, body: Mapping[str, Any]) -> None:
        self._recorded.update(body.get("outstanding", ()))
        self._decided.update(decision["approval_id"] for decision in body.get("decisions", ()))
        for result in (*body.get("results", ()), *(body.get("draft") or {}).get("results", ())):
            self._note_result(result)
            self._recorded.add(result["call"]["id"])
        if body["outcome"] == "handed_off":
            self._handed_off.append((record.key or b"", body["turn"]["epoch"], frozenset(body["covers"])))

    # -- the verdict -------------------------------------------------------------------------------------------------

    def judge(self, states: Mapping[bytes, bytes]) -> None:
        """What is still missing when all is done; *states* are the conversations' last."""
        kept = {
            call["id"]: call["standing"]
            for state in states.values()
            for call in from_json(state.partition(b"\n")[0]).get("calls", ())
        }
        for name, (request, *_) in self.happenings.items():
            asked = self._asked.get(name)
            if name not in self._recorded and name not in kept and not (asked and asked.conversation in self._erased):
                self._blame("I15", f"{request} took effect, and no record says so")
        for name, approval in self.approvals.items():
            if kept.get(name) == "asked" or not self._came_to_something(name, approval, kept):
                self._blame("I15", f"approval of {name} was asked for, and nothing came of it")

    def _came_to_something(self, name: str, approval: _Approval, kept: Mapping[str, str]) -> bool:
        known = {*self._recorded, *self._decided, *kept, *self._carried}
        if approval.conversation in self._erased or name in known or self._asked_anew(name):
            return True
        asked_in, mine = self._epochs[approval.turn], self._asked[name]
        # A later turn that asks for the same is taken to wait for the same approval, and moves it to its own messages.
        alike = [one.turn for one in self._ids if replace(one, turn="") == replace(mine, turn="")]
        covers = frozenset().union(*(self._covers[turn] for turn in alike))
        return any(
            conversation == approval.conversation and epoch > asked_in and covers & theirs
            for conversation, epoch, theirs in self._handed_off
        )

    def _asked_anew(self, name: str) -> bool:
        """Whether the same was asked for again later, as the tool was declared anew."""
        later = list(self.approvals)[list(self.approvals).index(name) + 1 :]
        return any(self._is_alike(self._asked[name], self._asked[other]) for other in later)

    @staticmethod
    def _is_alike(one: _Asked, other: _Asked) -> bool:
        return (one.conversation, one.tool, one.arguments) == (other.conversation, other.tool, other.arguments)

    def _is_same_wish(self, one: _Asked, other: _Asked) -> bool:
        return self._is_alike(one, other) and bool(self._covers[one.turn] & self._covers[other.turn])


def _seconds(instant: str) -> float:
    return datetime.fromisoformat(instant).timestamp()


def _is_of_an_approver(record: Record) -> bool:
    """Whether an approver decided it; a poisoned record is of nobody."""
    return dict(record.headers).get("ce_id", b"").startswith(b"decision-")


def _kind(record: Record) -> bytes:
    return dict(record.headers).get("ce_type", b"")
